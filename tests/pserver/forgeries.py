"""Everything that stands where a credential should and opens nothing: made for one peer API, one scope, one file.

Each is made as an attacker would who knows all that is public, and the keys of peers of their own. No tests here.
"""

import base64
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protos.links import make_link
from protos.tokens import LEEWAY_SECONDS, LIFETIME_SECONDS, Issuer, admission, peer_id_of

PEER, LINK = "p2p+jwt", "p2p-link+jwt"
DAY = 86_400


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    """One for all: they take long to make."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


class Forger:
    """A member with a key of their own, who also tries without it. `claims`: those of the token that would do."""

    def __init__(self, claims: Mapping[str, Any], typ: str, network_key: bytes) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes_raw()
        self.network_key = network_key
        self.typ = typ
        own = {"iss": peer_id_of(self.public), "key": _text(self.public)}
        self.claims = {**claims, **own, "adm": admission(network_key, peer_id_of(self.public))}

    def signed(self, drop: str = "", **changed: Any) -> str:
        """Rightly signed, with these claims changed."""
        claims = {name: value for name, value in {**self.claims, **changed}.items() if name != drop}
        return jwt.encode(claims, self.key, "EdDSA", headers={"typ": self.typ})

    def forged(self) -> dict[str, str]:
        """By what is wrong with it."""
        good, other = self.signed(), Ed25519PrivateKey.generate()
        head, body, signature = good.split(".")
        old = self.claims["iat"] - LEEWAY_SECONDS - 1
        pem = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        others = other.public_key().public_bytes_raw()
        return {
            "expired": self.signed(iat=old - LIFETIME_SECONDS, exp=old),
            "not yet": self.signed(iat=self.claims["iat"] + DAY, exp=self.claims["iat"] + DAY + 60),
            "too long a life": self.signed(exp=self.claims["iat"] + DAY * 30),
            "no end": self.signed(drop="exp"),
            "not admitted": self.signed(drop="adm"),
            "admitted with another key": self.signed(adm=admission(b"x" * 32, self.claims["iss"])),
            "admitted as another": self.signed(adm=admission(self.network_key, peer_id_of(others))),
            "another peer's id": self.signed(
                iss=peer_id_of(others), adm=admission(self.network_key, peer_id_of(others))
            ),
            "another peer's id and key": self.signed(
                iss=peer_id_of(others), key=_text(others), adm=admission(self.network_key, peer_id_of(others))
            ),
            "signed with another key": jwt.encode(self.claims, other, "EdDSA", headers={"typ": self.typ}),
            "tampered body": ".".join((head, _tampered(body), signature)),
            "tampered signature": ".".join((head, body, _text(bytes(64)))),
            "no signature": f"{head}.{body}.",
            "alg none": self._unsigned("none"),
            "alg NONE": self._unsigned("NONE"),
            "HS256 with the public key": _hmac_signed(self.claims, self.public, self.typ),
            "HS256 with the public key as PEM": _hmac_signed(self.claims, pem, self.typ),
            "HS256 with the key as text": _hmac_signed(self.claims, _text(self.public).encode(), self.typ),
            "RS256": jwt.encode(self.claims, rsa_key(), "RS256", headers={"typ": self.typ}),
            "ES256": jwt.encode(
                self.claims, ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"typ": self.typ}
            ),
            "RS256 in the head only": ".".join((_json({"alg": "RS256", "typ": self.typ}), body, signature)),
            "of no type": jwt.encode(self.claims, self.key, "EdDSA"),
            "of another type": jwt.encode(self.claims, self.key, "EdDSA", headers={"typ": "p2p-else+jwt"}),
            "with a key of its own in the head": jwt.encode(
                self.claims, other, "EdDSA", headers={"typ": self.typ, "jwk": {"kty": "OKP"}, "kid": "../../key"}
            ),
            "too long": self.signed(more="x" * 4096),
            "no token at all": "x",
        }

    def _unsigned(self, algorithm: str) -> str:
        return f"{_json({'alg': algorithm, 'typ': self.typ})}.{_json(self.claims)}."


def forged_tokens(audience: str, scope: str, file_id: str | None, now: float, network_key: bytes) -> dict[str, str]:
    """What does not open a route of that scope and file."""
    about = {} if file_id is None else {"fid": file_id}
    claims = {"aud": audience, "scope": scope, "iat": int(now), "exp": int(now) + LIFETIME_SECONDS, **about}
    forger = Forger(claims, PEER, network_key)
    link = make_link(Issuer(forger.key, network_key), file_id or "ab" * 32, now, 60)
    return (
        forger.forged()
        | {
            "another audience": forger.signed(aud="ab" * 32),
            "the locator's": forger.signed(aud="locator"),
            "no audience": forger.signed(drop="aud"),
            "several audiences": forger.signed(aud=[audience]),
            "another scope": forger.signed(scope="file" if scope != "file" else "lookup"),
            "no scope": forger.signed(drop="scope"),
            "several scopes": forger.signed(scope=[scope, "file"]),
            "another file": forger.signed(fid="ab" * 32),
            "a link": link,
        }
        | ({} if file_id is None else {"no file": forger.signed(drop="fid")})
    )


def forged_links(file_id: str, now: float, network_key: bytes) -> dict[str, str]:
    """What is no link to any file."""
    claims = {"fid": file_id, "iat": int(now), "exp": int(now) + 3600}
    forger = Forger(claims, LINK, network_key)
    token = Issuer(forger.key, network_key).token("ab" * 32, "file", now, file_id)
    return forger.forged() | {
        "a peer's token": token,
        "no file": forger.signed(drop="fid"),
        "a path for a file": forger.signed(fid="../../etc/passwd"),
    }


def _hmac_signed(claims: Mapping[str, Any], secret: bytes, typ: str) -> str:
    """By hand: PyJWT refuses to make some of these."""
    import hashlib
    import hmac

    said = f"{_json({'alg': 'HS256', 'typ': typ})}.{_json(claims)}"
    return f"{said}.{_text(hmac.new(secret, said.encode(), hashlib.sha256).digest())}"


def _json(value: Mapping[str, Any]) -> str:
    return _text(json.dumps(value).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _tampered(body: str) -> str:
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    return _json({**claims, "jti": "1"})
