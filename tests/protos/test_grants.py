"""What the locator signs for a person, and what a peer makes of it."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protos.grants import Grant, GrantVerifier, Verb, make_grant
from protos.tokens import InvalidToken, Issuer

KEY = b"k" * 32
NOW = 1_800_000_000.0
FILE, TARGET, ASKER = "f" * 64, "a" * 64, "b" * 64
LOCATOR = Issuer(Ed25519PrivateKey.generate(), KEY)
VERIFIER = GrantVerifier(TARGET, KEY)


def grant(issuer: Issuer = LOCATOR, *, user: str = "ann", verb: Verb = "hold", target: str = TARGET) -> str:
    return make_grant(issuer, user=user, admin=False, verb=verb, file_id=FILE, target=target, by=ASKER, now=NOW)


def check(token: str, now: float = NOW, verifier: GrantVerifier = VERIFIER) -> Grant:
    return verifier.check(token, {LOCATOR.peer_id}, now)


def forged(**claims: object) -> str:
    good: dict[str, object] = {
        "sub": "ann", "admin": False, "verb": "hold", "fid": FILE, "aud": TARGET, "iat": int(NOW), "exp": int(NOW) + 120
    }  # fmt: skip
    return LOCATOR.sign({name: value for name, value in (good | claims).items() if value is not ...}, "p2p-grant+jwt")


def test_a_grant_says_who_may_have_what_done() -> None:
    assert check(grant()) == Grant("ann", False, "hold", FILE, TARGET, ASKER, NOW + 120, NOW)
    assert check(forged(admin=True, verb="drop")) == Grant("ann", True, "drop", FILE, TARGET, None, NOW + 120, NOW)


def test_it_says_to_the_millisecond_when_it_was_given() -> None:
    at = NOW + 0.1234
    token = make_grant(
        LOCATOR, user="ann", admin=False, verb="hold", file_id=FILE, target=TARGET, by=ASKER, now=at
    )  # fmt: skip
    assert check(token).issued == pytest.approx(NOW + 0.123)
    for wrong in (-1, 1000, "5", 0.5, True):
        with pytest.raises(InvalidToken):
            check(forged(ms=wrong))


@pytest.mark.parametrize("now", [NOW - 61, NOW + 180, NOW + 1e9])
def test_a_grant_has_its_time(now: float) -> None:
    assert check(grant(), NOW + 179) == check(grant(), NOW - 60)
    with pytest.raises(InvalidToken):
        check(grant(), now)


def test_only_a_known_locator_of_this_network_grants_to_this_peer() -> None:
    stranger = Issuer(Ed25519PrivateKey.generate(), KEY)
    outsider = Issuer(Ed25519PrivateKey.generate(), None)
    for token, verifier in [
        (grant(stranger), VERIFIER),
        (grant(target=ASKER), VERIFIER),
        (grant(), replace(VERIFIER, network_key=b"x" * 32)),
    ]:
        with pytest.raises(InvalidToken):
            check(token, verifier=verifier)
    with pytest.raises(InvalidToken):
        VERIFIER.check(grant(outsider), {outsider.peer_id}, NOW)


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": ...}, {"sub": ""}, {"sub": "Ann"}, {"sub": "../x"}, {"sub": "a" * 33}, {"sub": 1},
        {"verb": ...}, {"verb": "read"}, {"verb": ["hold"]}, {"fid": ...}, {"fid": "f"}, {"fid": FILE.upper()},
        {"by": "x"}, {"by": 1}, {"aud": [TARGET]}, {"aud": ...}, {"iat": True}, {"exp": 1e300}, {"exp": "soon"},
        {"exp": int(NOW) + 121}, {"iat": int(NOW) + 61, "exp": int(NOW) + 120},
    ],
)  # fmt: skip
def test_a_malformed_grant_is_none(claims: dict[str, object]) -> None:
    with pytest.raises(InvalidToken):
        check(forged(**claims))


def test_no_other_token_is_a_grant_and_a_grant_is_no_other() -> None:
    peer_token = LOCATOR.token(TARGET, "hold", NOW, FILE)
    with pytest.raises(InvalidToken):
        check(peer_token)
    header, claims, _ = grant().split(".")
    with pytest.raises(InvalidToken):
        check(f"{header}.{claims}.")
