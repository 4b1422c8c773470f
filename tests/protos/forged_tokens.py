"""Every token that must open nothing: made as somebody would who knows all but the secrets.

`forged(real)` gives them by name, each as close to a valid token as it can be but for the one thing that is wrong.
"""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any

import jwt
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protos.grants import make_grant
from protos.links import make_link
from protos.tokens import Issuer, peer_id_of

_TYPE = "p2p+jwt"
_FILE = "f" * 64


@dataclass(frozen=True)
class Real:
    """A valid token's parts: whose `key` signs, which network admits, for which audience, scope and file."""

    key: Ed25519PrivateKey
    network_key: bytes
    audience: str
    scope: str
    file_id: str | None = None

    def issuer(self, key: Ed25519PrivateKey | None = None, network_key: bytes | None = b"") -> Issuer:
        """Of this key, or of another one, or of another network (None: of an open one)."""
        return Issuer(key or self.key, self.network_key if network_key == b"" else network_key)

    def token(self, **other: Any) -> str:
        """The valid token, or one that differs in the arguments of Issuer.token given (any of them: Any)."""
        said = {"audience": self.audience, "scope": self.scope, "now": time.time(), "file_id": self.file_id}
        return self.issuer().token(**{**said, **other})


def forged(real: Real) -> dict[str, str | None]:
    """By name; None: no token at all."""
    return {"no token": None, **_misdirected(real), **_strangers(real), **_unsigned(real), **_of_other_kinds(real)}


def _misdirected(real: Real) -> dict[str, str | None]:
    """Honest tokens, for something else or some other time."""
    now = time.time()
    claims = _claims(real.token())
    return {
        "expired": real.token(now=now - 1000),
        "not valid yet": real.token(now=now + 1000),
        "too long valid": real.issuer().sign({**_bare(claims), "exp": int(now) + 100_000}, _TYPE),
        "other audience": real.token(audience="a" * 64),
        "other scope": real.token(scope="no-such-scope"),
        "other file": real.token(file_id=_FILE),
    }


def _strangers(real: Real) -> dict[str, str | None]:
    """Signed well, by a key that may not."""
    eve = Ed25519PrivateKey.generate()
    public = eve.public_key().public_bytes_raw()
    claims = _claims(real.token())
    now, said = time.time(), (real.audience, real.scope)
    own_key = base64.urlsafe_b64encode(public).decode().rstrip("=")
    return {
        "another's name over the own key": _signed(eve, {**claims, "key": own_key}),
        "another's name and key": _signed(eve, claims),
        "another's admission": _signed(eve, {**claims, "iss": peer_id_of(public), "key": own_key}),
        "not admitted": real.issuer(eve, None).token(*said, now, real.file_id),
        "of another network": real.issuer(eve, b"x" * 32).token(*said, now, real.file_id),
    }


def _unsigned(real: Real) -> dict[str, str | None]:
    """The right claims, with a signature that is none."""
    head, body, signature = (token := real.token()).split(".")
    claims, public = _claims(token), real.key.public_key()
    raw, pem = public.public_bytes_raw(), public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {
        "tampered claims": f"{head}.{_part({**claims, 'scope': f'{real.scope} '})}.{signature}",
        "tampered signature": f"{head}.{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}",
        "no signature": f"{head}.{body}.",
        "alg none": f"{_header('none')}.{body}.",
        "alg None with a signature": f"{_header('None')}.{body}.{signature}",
        "HS256 with the public key": _mac(real, raw),
        "HS256 with the public key in PEM": _mac(real, pem),
        **_by_rsa(claims),
    }


def _by_rsa(claims: dict[str, Any]) -> dict[str, str | None]:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    own = {**claims, "iss": blake3(public).hexdigest(), "key": base64.urlsafe_b64encode(public).decode().rstrip("=")}
    return {
        "RS256": jwt.encode(claims, key, "RS256", headers={"typ": _TYPE}),
        "RS256 with its own name": jwt.encode(own, key, "RS256", headers={"typ": _TYPE}),
    }


def _of_other_kinds(real: Real) -> dict[str, str | None]:
    """Valid tokens, of other types; and what is no token."""
    now, issuer = time.time(), real.issuer()
    grant = {"user": "ann", "admin": True, "file_id": _FILE, "target": real.audience, "by": None, "now": now}
    return {
        "a link": make_link(issuer, real.file_id or _FILE, now, 60),
        "a grant": make_grant(issuer, verb="drop", **grant),  # type: ignore[arg-type]  # a dict of mixed values
        "another type": issuer.sign(_bare(_claims(real.token())), "JWT"),
        "nothing": "",
        "dots": "..",
        "far too long": "a" * 5000,
    }


def _claims(token: str) -> dict[str, Any]:  # Any: JSON
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def _bare(claims: dict[str, Any]) -> dict[str, object]:
    """Without what the issuer adds itself."""
    return {name: value for name, value in claims.items() if name not in {"iss", "key", "adm"}}


def _signed(key: Ed25519PrivateKey, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, key, "EdDSA", headers={"typ": _TYPE})


def _mac(real: Real, secret: bytes) -> str:
    """By hand, since the library refuses to make it."""
    signed = f"{_header('HS256')}.{real.token().split('.')[1]}"
    return f"{signed}.{_text(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def _header(algorithm: str) -> str:
    return _part({"alg": algorithm, "typ": _TYPE})


def _part(value: dict[str, Any]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
