"""Grants: what the locator signs so that a person may make another peer do something: hold a file, or drop it.

A grant is a JWT of a type of its own, signed like a peer's token (see tokens.py) by the locator's key and with the
same proof of admission. It names the user and whether that is an admin, the verb, one file, the peer that shall do it
(audience) and, to hold a file, the peer that may ask (`by`); it ends after 120 seconds. A peer takes grants of the
locators it is registered with, and of nobody else.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

from protos.tokens import LEEWAY_SECONDS, LIFETIME_SECONDS, InvalidToken, Issuer, check_admission, verified

Verb = Literal["hold", "drop"]
_TYPE = "p2p-grant+jwt"
_ID = re.compile(r"[0-9a-f]{64}")
USER = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a checked grant says. Ids are 64 hex digits; `by` is None for an order of the locator itself (drop).

    `issued` and `expires` are Unix time by the locator's clock; `issued` to the millisecond (to the second, if the
    locator is older than that).
    """

    user: str
    admin: bool
    verb: Verb
    file_id: str
    target: str
    by: str | None
    expires: float
    issued: float


def make_grant(
    issuer: Issuer, *, user: str, admin: bool, verb: Verb, file_id: str, target: str, by: str | None, now: float
) -> str:
    """The grant's token, good for 120 seconds from `now` (Unix time) on. `issuer` is the locator's."""
    claims: dict[str, object] = {
        "sub": user,
        "admin": admin,
        "verb": verb,
        "fid": file_id,
        "aud": target,
        "iat": int(now),
        "ms": int(now * 1000) % 1000,  # which of two came first can matter
        "exp": int(now) + LIFETIME_SECONDS,
    }
    return issuer.sign(claims if by is None else {**claims, "by": by}, _TYPE)


@dataclass(frozen=True, slots=True)
class GrantVerifier:
    """Checks grants given to one peer, `target` (a peer id)."""

    target: str
    network_key: bytes | None

    def check(self, token: str, locators: Collection[str], now: float) -> Grant:
        """What the grant says, if one of `locators` (their ids) gave it and it is valid at `now` (Unix time).

        Verb, file and `by` are for the caller to compare with what is being asked. Raises InvalidToken.
        """

        def read(payload: dict[str, object], issuer: str) -> Grant:
            if issuer not in locators:
                raise InvalidToken("the grant is not of a locator that this peer is registered with")
            check_admission(payload, issuer, self.network_key)
            if payload["aud"] != self.target:
                raise InvalidToken("the grant is for another peer")
            until = _until(payload, now)
            return Grant(
                **_person(payload), **_deed(payload), target=self.target, expires=until, issued=_issued(payload)
            )

        return verified(token, _TYPE, read)


class _Person(TypedDict):
    user: str
    admin: bool


class _Deed(TypedDict):
    verb: Verb
    file_id: str
    by: str | None


def _person(payload: dict[str, object]) -> _Person:
    user = payload["sub"]
    if not isinstance(user, str) or not USER.fullmatch(user):
        raise InvalidToken("the grant names no user")
    return {"user": user, "admin": payload.get("admin") is True}


def _deed(payload: dict[str, object]) -> _Deed:
    verb, file_id, by = payload["verb"], payload["fid"], payload.get("by")
    if verb not in get_args(Verb):
        raise InvalidToken("the grant is for nothing that is known")
    if not _is_id(file_id) or not (by is None or _is_id(by)):
        raise InvalidToken("the grant's ids are malformed")
    return {
        "verb": "hold" if verb == "hold" else "drop",
        "file_id": str(file_id),
        "by": None if by is None else str(by),
    }


def _until(payload: dict[str, object], now: float) -> float:
    issued, expires = payload["iat"], payload["exp"]
    if type(issued) is not int or type(expires) is not int:  # a bool is an int too
        raise InvalidToken("the grant's times are malformed")
    if expires - issued > LIFETIME_SECONDS or issued - LEEWAY_SECONDS > now:
        raise InvalidToken("the grant's times are not allowed; is the clock right?")
    if expires + LEEWAY_SECONDS <= now:
        raise InvalidToken("the grant has expired; is the clock right?")
    return float(expires)


def _issued(payload: dict[str, object]) -> float:
    seconds, more = payload["iat"], payload.get("ms", 0)
    if type(seconds) is not int or type(more) is not int or not 0 <= more < 1000:
        raise InvalidToken("the grant's times are malformed")
    return seconds + more / 1000


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None
