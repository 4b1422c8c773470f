"""Tokens: what is made is accepted, and nothing that anybody could forge, bend or reuse is."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from protos.tokens import (
    LEEWAY_SECONDS,
    LIFETIME_SECONDS,
    MAX_TOKEN_CHARACTERS,
    RENEW_SECONDS,
    InvalidToken,
    Issuer,
    Verifier,
    admission,
    peer_id_of,
)

NOW = 1_800_000_000.0
NETWORK_KEY = b"k" * 32
FILE_ID = "ab" * 32
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = KEY.public_key().public_bytes_raw()
PEER_ID = peer_id_of(PUBLIC)
Claims = dict[str, object]


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(KEY, NETWORK_KEY)


@pytest.fixture
def verifier() -> Verifier:
    return Verifier("locator", NETWORK_KEY)


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def claims(**changed: object) -> Claims:
    """The claims of a good token, changed; a value of None leaves the claim out."""
    good: Claims = {
        "iss": PEER_ID,
        "aud": "locator",
        "scope": "locate",
        "iat": int(NOW),
        "exp": int(NOW) + LIFETIME_SECONDS,
        "key": encoded(PUBLIC),
        "adm": admission(NETWORK_KEY, PEER_ID),
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def signed(said: Claims, key: Ed25519PrivateKey = KEY, typ: str | None = "p2p+jwt") -> str:
    return jwt.encode(said, key, algorithm="EdDSA", headers={"typ": typ} if typ is not None else {"typ": None})


def by_hand(header: Claims, said: Claims, sign: Callable[[bytes], bytes]) -> str:
    """A token that no library would make."""
    body = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(said).encode())}"
    return f"{body}.{encoded(sign(body.encode()))}"


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda body: hmac.new(secret, body, hashlib.sha256).digest()


def refused(verifier: Verifier, token: str, scope: str = "locate", now: float = NOW, file_id: str | None = None) -> str:
    with pytest.raises(InvalidToken) as caught:
        verifier.check(token, scope, now, file_id)
    return str(caught.value)


# --- what is right


def test_a_token_says_who_sent_it(issuer: Issuer, verifier: Verifier) -> None:
    said = verifier.check(issuer.token("locator", "locate", NOW), "locate", NOW)
    assert (said.issuer, said.audience, said.scope, said.file_id) == (PEER_ID, "locator", "locate", None)
    assert said.expires == NOW + LIFETIME_SECONDS


def test_a_token_about_a_file_is_good_for_that_file(issuer: Issuer, verifier: Verifier) -> None:
    token = issuer.token("locator", "file", NOW, FILE_ID)
    assert verifier.check(token, "file", NOW, FILE_ID).file_id == FILE_ID


def test_the_token_made_by_hand_in_these_tests_is_good(verifier: Verifier) -> None:
    assert verifier.check(signed(claims()), "locate", NOW).issuer == PEER_ID
    token = by_hand({"alg": "EdDSA", "typ": "p2p+jwt"}, claims(), KEY.sign)
    assert verifier.check(token, "locate", NOW).issuer == PEER_ID


def test_an_open_network_admits_everybody(issuer: Issuer) -> None:
    token = Issuer(OTHER_KEY, None).token("locator", "locate", NOW)
    assert Verifier("locator", None).check(token, "locate", NOW).issuer == Issuer(OTHER_KEY, None).peer_id


def test_a_token_is_reused_until_it_nears_its_end(issuer: Issuer) -> None:
    first = issuer.token("locator", "locate", NOW)
    almost = NOW + LIFETIME_SECONDS - RENEW_SECONDS
    assert issuer.token("locator", "locate", almost - 1) == first
    assert issuer.token("locator", "locate", almost + 1) != first
    assert issuer.token("locator", "membership", NOW) != first
    assert issuer.token("other", "locate", NOW) != first


def test_a_token_is_made_anew_when_the_clock_was_set_back(issuer: Issuer, verifier: Verifier) -> None:
    issuer.token("locator", "locate", NOW + 10_000)
    assert verifier.check(issuer.token("locator", "locate", NOW), "locate", NOW).issuer == PEER_ID


# --- forged


def forgeries() -> dict[str, str]:
    pem = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    typ = "p2p+jwt"
    good = signed(claims())
    head, body, signature = good.split(".")
    bent = claims(scope="membership")
    return {
        "alg none": by_hand({"alg": "none", "typ": typ}, claims(), lambda _body: b""),
        "alg None, signed": by_hand({"alg": "None", "typ": typ}, claims(), KEY.sign),
        "HS256 with the raw public key": by_hand({"alg": "HS256", "typ": typ}, claims(), hs256(PUBLIC)),
        "HS256 with the public key as PEM": by_hand({"alg": "HS256", "typ": typ}, claims(), hs256(pem)),
        "HS256 with the key claim": by_hand({"alg": "HS256", "typ": typ}, claims(), hs256(encoded(PUBLIC).encode())),
        "EdDSA said, HS256 made": by_hand({"alg": "EdDSA", "typ": typ}, claims(), hs256(PUBLIC)),
        "RS256": jwt.encode(claims(), rsa_key, algorithm="RS256", headers={"typ": typ}),
        "no alg": by_hand({"typ": typ}, claims(), KEY.sign),
        "another's signature": signed(claims(), OTHER_KEY),
        "another's key under my name": signed(
            claims(key=encoded(OTHER_KEY.public_key().public_bytes_raw())), OTHER_KEY
        ),
        "my key, another's name": signed(claims(iss=peer_id_of(OTHER_KEY.public_key().public_bytes_raw()))),
        "claims changed": f"{head}.{encoded(json.dumps(bent).encode())}.{signature}",
        "signature cut off": f"{head}.{body}.",
        "signature missing": f"{head}.{body}",
        "signature changed": f"{head}.{body}.{encoded(bytes(64))}",
        "no key": signed(claims(key=None)),
        "a key that is none": signed(claims(key="AAAA", iss=peer_id_of(bytes(3)))),
        "a key of zeros": signed(claims(key=encoded(bytes(32)), iss=peer_id_of(bytes(32)))),
        "a key that is a list": signed(claims(key=[1, 2])),
        "no issuer": signed(claims(iss=None)),
        "the key in the header": by_hand(
            {"alg": "EdDSA", "typ": typ, "jwk": {"kty": "OKP"}}, claims(key=None), KEY.sign
        ),
        "unknown critical header": by_hand({"alg": "EdDSA", "typ": typ, "crit": ["x"]}, claims(), KEY.sign),
        "empty": "",
        "dots": "..",
        "no JSON": f"{encoded(b'{')}.{encoded(b'{')}.{signature}",
        "claims that are a list": by_hand({"alg": "EdDSA", "typ": typ}, [1], KEY.sign),  # type: ignore[arg-type]
        "not base64": "é.è.ê",
        "deep JSON": f"{encoded(b'[' * 500)}.{body}.{signature}",
    }


@pytest.mark.parametrize(("what", "token"), forgeries().items(), ids=forgeries().keys())
def test_a_forged_token_is_refused(verifier: Verifier, what: str, token: str) -> None:
    refused(verifier, token)


def test_a_token_that_is_too_long_is_refused_unread(verifier: Verifier) -> None:
    assert "too long" in refused(verifier, signed(claims(padding="x" * MAX_TOKEN_CHARACTERS)))


@given(position=st.integers(0, len(signed(claims())) - 1), character=st.sampled_from("aZ09-_.~"))
def test_no_character_can_be_changed(position: int, character: str) -> None:
    good = signed(claims())
    bent = good[:position] + character + good[position + 1 :]
    try:
        said = Verifier("locator", NETWORK_KEY).check(bent, "locate", NOW)
    except InvalidToken:
        return
    # The last character of the signature has bits that mean nothing; whatever is said must still be the truth.
    assert said == Verifier("locator", NETWORK_KEY).check(good, "locate", NOW)


# --- of another kind, for another use


@pytest.mark.parametrize("typ", [None, "JWT", "link+jwt", "p2p+JWT", "application/p2p+jwt"])
def test_a_token_of_another_kind_is_refused(verifier: Verifier, typ: str | None) -> None:
    refused(verifier, signed(claims(), typ=typ))


@pytest.mark.parametrize("audience", [PEER_ID, "", "Locator", ["locator"], ["locator", PEER_ID], None])
def test_a_token_for_another_audience_is_refused(verifier: Verifier, audience: object) -> None:
    refused(verifier, signed(claims(aud=audience)))


def test_a_token_is_good_for_its_scope_only_however_often_it_was_seen(issuer: Issuer, verifier: Verifier) -> None:
    token = issuer.token("locator", "locate", NOW)
    verifier.check(token, "locate", NOW)
    assert "locate" in refused(verifier, token, "membership")
    refused(verifier, signed(claims(scope=None)))
    refused(verifier, signed(claims(scope=["locate"])))


def test_a_token_is_good_for_its_file_only(issuer: Issuer, verifier: Verifier) -> None:
    about = issuer.token("locator", "file", NOW, FILE_ID)
    refused(verifier, about, "file", file_id="cd" * 32)
    refused(verifier, about, "file")
    refused(verifier, issuer.token("locator", "file", NOW), "file", file_id=FILE_ID)


# --- times


def test_an_expired_token_is_refused_also_when_it_was_seen_before(issuer: Issuer, verifier: Verifier) -> None:
    token = issuer.token("locator", "locate", NOW)
    end = NOW + LIFETIME_SECONDS + LEEWAY_SECONDS
    verifier.check(token, "locate", end - 1)
    assert "expired" in refused(verifier, token, now=end)
    assert "expired" in refused(Verifier("locator", NETWORK_KEY), token, now=end)


def test_a_token_from_the_future_is_refused(issuer: Issuer) -> None:
    token = issuer.token("locator", "locate", NOW)
    Verifier("locator", NETWORK_KEY).check(token, "locate", NOW - LEEWAY_SECONDS)
    assert "clock" in refused(Verifier("locator", NETWORK_KEY), token, now=NOW - LEEWAY_SECONDS - 1)


@pytest.mark.parametrize(
    "times",
    [
        {"exp": int(NOW) + LIFETIME_SECONDS + 1},
        {"exp": int(NOW) + 10**9},
        {"iat": int(NOW) - 1},
        {"exp": None},
        {"iat": None},
        {"exp": str(int(NOW) + 60)},
        {"exp": NOW + 60.5},
        {"exp": 10**400},
        {"iat": -(10**400)},
        {"iat": "yesterday"},
        {"iat": [1]},
    ],
    ids=str,
)
def test_a_token_lives_120_seconds_at_most(verifier: Verifier, times: Claims) -> None:
    refused(verifier, signed(claims(**times)))


# --- admission


@pytest.mark.parametrize(
    "proof",
    [None, "", "0" * 64, admission(b"another network's key" * 2, PEER_ID), admission(NETWORK_KEY, "0" * 64), 7, ["x"]],
)
def test_who_does_not_know_the_network_key_is_refused(verifier: Verifier, proof: object) -> None:
    assert "network" in refused(verifier, signed(claims(adm=proof)))


def test_a_proof_that_is_no_ascii_is_refused_and_not_an_error(verifier: Verifier) -> None:
    refused(verifier, signed(claims(adm="é" * 64)))
    refused(verifier, signed(claims(iss="é" * 64)))
