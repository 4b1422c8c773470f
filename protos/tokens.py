"""Peer tokens: what a request carries to prove which peer sends it, and that the peer may.

A token is a JWT (RFC 7519) signed with EdDSA (RFC 8037) by the sender's Ed25519 key. It names its issuer (a peer
id), brings the issuer's public key (whose hash is the peer id, so nothing need be looked up), and is good for
one audience, one scope and, where there is one, one file, for at most 120 seconds. Where the network has a key,
it also carries HMAC-SHA256(network key, issuer): proof that the issuer was admitted.

Making and checking cost a signature each; both sides therefore keep what they made or checked until it ends.
"""

import base64
import hashlib
import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import jwt
from blake3 import blake3
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LIFETIME_SECONDS = 120
LEEWAY_SECONDS = 60  # how far two clocks may differ
RENEW_SECONDS = 30  # a token this near its end is made anew
LOCATOR_AUDIENCE = "locator"
MAX_TOKEN_CHARACTERS = 2048
_TYPE = "p2p+jwt"
_CACHED = 4096
_K = TypeVar("_K")
_V = TypeVar("_V")


class InvalidToken(Exception):
    """The request carries no valid token: the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a checked token says. `file_id` is hex, or None for a token that is not about one file."""

    issuer: str
    audience: str
    scope: str
    file_id: str | None
    expires: float


def peer_id_of(public_key: bytes) -> str:
    """The peer id (64 hex digits) of a raw Ed25519 public key (32 bytes)."""
    return blake3(public_key).hexdigest()


def admission(network_key: bytes | None, peer_id: str) -> str | None:
    """The proof (hex) that `peer_id` knows the network key; None in an open network."""
    if network_key is None:
        return None
    return hmac.new(network_key, peer_id.encode(), hashlib.sha256).hexdigest()


class Issuer:
    """Makes the tokens of one key, and reuses each until it nears its end. Thread-safe."""

    def __init__(self, key: Ed25519PrivateKey, network_key: bytes | None) -> None:
        self._key = key
        self._public_key = key.public_key().public_bytes_raw()
        self.peer_id = peer_id_of(self._public_key)
        self._admission = admission(network_key, self.peer_id)
        self._made: OrderedDict[tuple[str, str, str | None], tuple[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def token(self, audience: str, scope: str, now: float, file_id: str | None = None) -> str:
        """A token for `audience` and `scope`, good for at least 30 more seconds. `now` is Unix time."""
        wanted = (audience, scope, file_id)
        with self._lock:
            made = self._made.get(wanted)
            if made is not None and made[1] - now > RENEW_SECONDS and made[1] - now <= LIFETIME_SECONDS:
                return made[0]
            expires = now + LIFETIME_SECONDS
            token = self._sign(audience, scope, file_id, now, expires)
            keep(self._made, wanted, (token, expires))
            return token

    def _sign(self, audience: str, scope: str, file_id: str | None, now: float, expires: float) -> str:
        claims: dict[str, object] = {"aud": audience, "scope": scope, "iat": int(now), "exp": int(expires)}
        if file_id is not None:
            claims["fid"] = file_id
        return self.sign(claims, _TYPE)

    def sign(self, claims: dict[str, object], typ: str) -> str:
        """A token of that type with these claims, and with who says so: the issuer, its key, its admission."""
        key = base64.urlsafe_b64encode(self._public_key).decode().rstrip("=")
        said: dict[str, object] = {"iss": self.peer_id, **claims, "key": key}
        if self._admission is not None:
            said["adm"] = self._admission
        return jwt.encode(said, self._key, algorithm="EdDSA", headers={"typ": typ})


class Verifier:
    """Checks tokens meant for one audience. Thread-safe; remembers tokens whose signature was right."""

    def __init__(self, audience: str, network_key: bytes | None) -> None:
        self._audience = audience
        self._network_key = network_key
        self._good: OrderedDict[str, Claims] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, token: str, scope: str, now: float, file_id: str | None = None) -> Claims:
        """The claims of `token`, if it is valid at `now` (Unix time) for this scope and file; else InvalidToken."""
        claims = self._good.get(token)
        if claims is None:
            claims = self._verify(token, now)
            with self._lock:
                keep(self._good, token, claims)
        if claims.expires + LEEWAY_SECONDS <= now:
            raise InvalidToken("the token has expired; is the clock right?")
        if claims.scope != scope:
            raise InvalidToken(f"the token is for '{claims.scope}', not for '{scope}'")
        if claims.file_id != file_id:
            raise InvalidToken("the token is for another file")
        return claims

    def _verify(self, token: str, now: float) -> Claims:
        return verified(token, _TYPE, lambda payload, issuer: self._claims(payload, issuer, now))

    def _claims(self, payload: dict[str, object], issuer: str, now: float) -> Claims:
        issued, expires = payload["iat"], payload["exp"]
        if not isinstance(issued, int) or not isinstance(expires, int):
            raise InvalidToken("the token's times are malformed")
        if expires - issued > LIFETIME_SECONDS or issued - LEEWAY_SECONDS > now:
            raise InvalidToken("the token's times are not allowed; is the clock right?")
        if payload["aud"] != self._audience:
            raise InvalidToken("the token is for another peer")
        check_admission(payload, issuer, self._network_key)
        file_id = payload.get("fid")
        return Claims(
            issuer=issuer,
            audience=self._audience,
            scope=str(payload["scope"]),
            file_id=None if file_id is None else str(file_id),
            expires=float(expires),
        )


def verified(token: str, typ: str, read: Callable[[dict[str, object], str], _V]) -> _V:
    """What `read` makes of a token's claims and issuer, once the token is proved to be of that type and the issuer's.

    Times, audience and admission are for `read` to check. Raises InvalidToken, also where `read` stumbles over a
    claim (KeyError, TypeError, ValueError, OverflowError).
    """
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise InvalidToken("the token is too long")
    try:
        said = jwt.decode_complete(token, options={"verify_signature": False})
        payload = said["payload"]
        if said["header"].get("typ") != typ or said["header"].get("alg") != "EdDSA":
            raise InvalidToken("the token is not of the kind that belongs here")
        public_key = base64.urlsafe_b64decode(str(payload["key"]) + "==")
        issuer = str(payload["iss"])
        if not hmac.compare_digest(peer_id_of(public_key), issuer):
            raise InvalidToken("the token's key is not the key of its issuer")
        _check_signature(token, public_key)
        return read(payload, issuer)
    except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError, UnsupportedAlgorithm):
        # Whatever the parts of a forged token make the libraries say, the sender hears one thing.
        raise InvalidToken("the token is malformed or its signature is wrong") from None


def check_admission(payload: dict[str, object], issuer: str, network_key: bytes | None) -> None:
    """Raise InvalidToken unless the claims prove that the issuer knows the network key; in an open network all do."""
    expected = admission(network_key, issuer)
    if expected is not None and not hmac.compare_digest(expected, str(payload.get("adm", ""))):
        raise InvalidToken("the issuer does not know this network's key")


def _check_signature(token: str, public_key: bytes) -> None:
    # Times and audience are checked by whoever reads the claims, against the `now` that was passed.
    jwt.decode(
        token,
        Ed25519PublicKey.from_public_bytes(public_key),
        algorithms=["EdDSA"],
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False},
    )


def keep(kept: OrderedDict[_K, _V], key: _K, value: _V) -> None:
    """Remember at most _CACHED of them, dropping the oldest."""
    kept[key] = value
    while len(kept) > _CACHED:
        kept.popitem(last=False)
