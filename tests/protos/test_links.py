"""Links: what is made opens one file at any holder until it ends, and nothing forged, bent or borrowed opens any."""

import base64
import json
from collections.abc import Callable

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.links import MAX_LINK_SECONDS, LinkVerifier, hide, link_url, make_link
from protos.tokens import (
    LEEWAY_SECONDS,
    MAX_TOKEN_CHARACTERS,
    InvalidToken,
    Issuer,
    Verifier,
    admission,
    peer_id_of,
)

NOW = 1_800_000_000.0
HOUR = 3600
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
def verifier() -> LinkVerifier:
    return LinkVerifier(NETWORK_KEY)


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def claims(**changed: object) -> Claims:
    """The claims of a good link, changed; a value of None leaves the claim out."""
    good: Claims = {
        "iss": PEER_ID,
        "fid": FILE_ID,
        "iat": int(NOW),
        "exp": int(NOW) + HOUR,
        "key": encoded(PUBLIC),
        "adm": admission(NETWORK_KEY, PEER_ID),
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def signed(said: Claims, key: Ed25519PrivateKey = KEY, typ: str | None = "p2p-link+jwt") -> str:
    return jwt.encode(said, key, algorithm="EdDSA", headers={"typ": typ})


def by_hand(header: Claims, said: object, sign: Callable[[bytes], bytes]) -> str:
    """A token that no library would make."""
    body = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(said).encode())}"
    return f"{body}.{encoded(sign(body.encode()))}"


def refused(token: str, now: float = NOW, verifier: LinkVerifier | None = None) -> str:
    with pytest.raises(InvalidToken) as caught:
        (verifier or LinkVerifier(NETWORK_KEY)).check(token, now)
    return str(caught.value)


# --- what is right


def test_a_link_says_which_file_it_opens_and_who_made_it(issuer: Issuer, verifier: LinkVerifier) -> None:
    found = verifier.check(make_link(issuer, FILE_ID, NOW, HOUR), NOW)
    assert (found.issuer, found.file_id, found.expires) == (PEER_ID, FILE_ID, NOW + HOUR)
    assert verifier.check(signed(claims()), NOW) == found


def test_every_member_accepts_it_and_in_an_open_network_everybody(issuer: Issuer) -> None:
    token = make_link(issuer, FILE_ID, NOW, HOUR)
    assert LinkVerifier(NETWORK_KEY).check(token, NOW) == LinkVerifier(None).check(token, NOW)
    assert LinkVerifier(None).check(make_link(Issuer(KEY, None), FILE_ID, NOW, HOUR), NOW).file_id == FILE_ID


def test_a_link_fits_into_a_url(issuer: Issuer) -> None:
    url = link_url("http://10.0.0.1:8001", make_link(issuer, FILE_ID, NOW, HOUR), "docs/ä b?.txt")
    assert url.isascii() and len(url) < 1000
    assert url.endswith("/file/%C3%A4%20b%3F.txt")
    assert "?" not in url
    assert link_url("http://h:1", "T", "a/b", "meta4") == "http://h:1/peer/v1/links/T/meta4/b.meta4"
    assert link_url("http://h:1", "T", "a/b", "torrent") == "http://h:1/peer/v1/links/T/torrent/b.torrent"


def test_a_hidden_link_is_no_link(issuer: Issuer) -> None:
    token = make_link(issuer, FILE_ID, NOW, HOUR)
    text = f"GET {link_url('http://h:1', token, 'b')} and /peer/v1/links/{token}"
    assert hide(text) == "GET http://h:1/peer/v1/links/.../file/b and /peer/v1/links/..."
    assert hide("/peer/v1/files/x") == "/peer/v1/files/x"
    assert hide(f"/peer/v1/links/file/{token} /x/{token}") == "/peer/v1/links/.../... /x/..."


@pytest.mark.parametrize("seconds", [0, -1, MAX_LINK_SECONDS + 1, 10**12])
def test_a_link_for_no_time_or_for_more_than_seven_days_is_not_made(issuer: Issuer, seconds: int) -> None:
    with pytest.raises(ValueError, match="7 days"):
        make_link(issuer, FILE_ID, NOW, seconds)


# --- forged


def forgeries() -> dict[str, str]:
    typ = "p2p-link+jwt"
    head, body, signature = signed(claims()).split(".")
    bent = {**claims(), "fid": "cd" * 32}
    return {
        "alg none": by_hand({"alg": "none", "typ": typ}, claims(), lambda _body: b""),
        "another alg": by_hand({"alg": "HS256", "typ": typ}, claims(), KEY.sign),
        "no alg": by_hand({"typ": typ}, claims(), KEY.sign),
        "another's signature": signed(claims(), OTHER_KEY),
        "another's key under my name": signed(
            claims(key=encoded(OTHER_KEY.public_key().public_bytes_raw())), OTHER_KEY
        ),
        "my key, another's name": signed(claims(iss=peer_id_of(OTHER_KEY.public_key().public_bytes_raw()))),
        "another file": f"{head}.{encoded(json.dumps(bent).encode())}.{signature}",
        "signature cut off": f"{head}.{body}.",
        "signature missing": f"{head}.{body}",
        "no key": signed(claims(key=None)),
        "a key of zeros": signed(claims(key=encoded(bytes(32)), iss=peer_id_of(bytes(32)))),
        "no issuer": signed(claims(iss=None)),
        "unknown critical header": by_hand({"alg": "EdDSA", "typ": typ, "crit": ["x"]}, claims(), KEY.sign),
        "claims that are a list": by_hand({"alg": "EdDSA", "typ": typ}, [1], KEY.sign),
        "empty": "",
        "dots": "..",
        "not base64": "é.è.ê",
        "deep JSON": f"{encoded(b'[' * 500)}.{body}.{signature}",
        "too long": signed(claims(padding="x" * MAX_TOKEN_CHARACTERS)),
    }


@pytest.mark.parametrize(("what", "token"), forgeries().items(), ids=forgeries().keys())
def test_a_forged_link_is_refused(what: str, token: str) -> None:
    refused(token)


@settings(deadline=None)
@given(position=st.integers(0, len(signed(claims())) - 1), character=st.sampled_from("aZ09-_.~"))
def test_no_character_can_be_changed(position: int, character: str) -> None:
    good = signed(claims())
    bent = good[:position] + character + good[position + 1 :]
    try:
        said = LinkVerifier(NETWORK_KEY).check(bent, NOW)
    except InvalidToken:
        return
    # The last character of the signature has bits that mean nothing; whatever is said must still be the truth.
    assert said == LinkVerifier(NETWORK_KEY).check(good, NOW)


# --- borrowed


@pytest.mark.parametrize("typ", [None, "JWT", "p2p+jwt", "link+jwt", "P2P-link+jwt", "application/p2p-link+jwt"])
def test_a_token_of_another_kind_is_no_link(typ: str | None) -> None:
    refused(signed(claims(), typ=typ))


def test_a_peers_token_is_no_link_and_a_link_no_peers_token(issuer: Issuer) -> None:
    refused(issuer.token(PEER_ID, "file", NOW, FILE_ID))
    whole = claims(aud=PEER_ID, scope="file", exp=int(NOW) + 60)  # all that a peer's token says, but its type
    for token in (make_link(issuer, FILE_ID, NOW, 60), signed(whole)):
        with pytest.raises(InvalidToken):
            Verifier(PEER_ID, NETWORK_KEY).check(token, "file", NOW, FILE_ID)


@pytest.mark.parametrize("file_id", [None, "", "ab", "AB" * 32, "ab" * 33, FILE_ID + "\n", [FILE_ID], 7, "../" * 21])
def test_a_link_names_one_file(file_id: object) -> None:
    refused(signed(claims(fid=file_id)))


# --- times


def test_an_expired_link_is_refused_also_when_it_was_seen_before(issuer: Issuer, verifier: LinkVerifier) -> None:
    token = make_link(issuer, FILE_ID, NOW, HOUR)
    end = NOW + HOUR + LEEWAY_SECONDS
    verifier.check(token, end - 1)
    assert "expired" in refused(token, end, verifier)
    assert "expired" in refused(token, end)


def test_a_link_from_the_future_is_refused(issuer: Issuer) -> None:
    token = make_link(issuer, FILE_ID, NOW, HOUR)
    LinkVerifier(NETWORK_KEY).check(token, NOW - LEEWAY_SECONDS)
    assert "clock" in refused(token, NOW - LEEWAY_SECONDS - 1)


@pytest.mark.parametrize(
    "times",
    [
        {"exp": int(NOW) + MAX_LINK_SECONDS + 1},
        {"exp": int(NOW) + 10**9},
        {"iat": int(NOW) - MAX_LINK_SECONDS},
        {"exp": None},
        {"iat": None},
        {"exp": str(int(NOW) + 60)},
        {"exp": NOW + 60.5},
        {"exp": True},
        {"exp": 10**400},
        {"iat": -(10**400)},
        {"iat": [1]},
    ],
    ids=str,
)
def test_a_link_lives_seven_days_at_most(times: Claims) -> None:
    refused(signed(claims(**times)))


# --- admission


@pytest.mark.parametrize(
    "proof",
    [None, "", "0" * 64, admission(b"another network's key" * 2, PEER_ID), admission(NETWORK_KEY, "0" * 64), 7, "é"],
)
def test_who_does_not_know_the_network_key_makes_no_links(proof: object) -> None:
    refused(signed(claims(adm=proof)))
