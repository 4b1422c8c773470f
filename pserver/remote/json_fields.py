"""Reading JSON that a stranger sent: every field is checked for type, length and range as it is taken out.

Whatever is wrong raises InvalidRequest, and its message names the field. Fields that nobody asks for are ignored,
so that a newer peer can send more.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from protos.addresses import check_url
from protos.names import InvalidName, check_name, check_prefix
from pserver.model import InvalidRequest, Peer

MAX_FILE_BYTES = 1 << 44  # as in pieces
MAX_COUNT = 1 << 62
MAX_NAME_CHARACTERS = 64  # of a peer
_HEX = re.compile(r"[0-9a-f]*\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_T = TypeVar("_T")


class Fields:
    """A JSON object, read field by field. `where` names it in messages: "results[0]"."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            raise InvalidRequest(f"{where or 'the body'} must be a JSON object")
        self._value: Mapping[object, object] = value
        self._where = where

    def has(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self._value.get(key) is not None

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number within low..high; without a default it must be there."""
        found = self._value.get(key, default)
        if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
            raise self._wrong(key, f"must be a whole number from {low} to {high}")
        return found

    def seconds(self, key: str) -> float | None:
        """A finite number ≥ 0, or None."""
        found = self._value.get(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < MAX_COUNT:
            raise self._wrong(key, "must be a number of seconds")
        return float(found)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """True or false."""
        found = self._value.get(key, default)
        if not isinstance(found, bool):
            raise self._wrong(key, "must be true or false")
        return found

    def text(self, key: str, longest: int, default: str | None = None) -> str:
        """A string of at most `longest` characters that is valid Unicode."""
        found = self._value.get(key, default)
        if not isinstance(found, str) or len(found) > longest:
            raise self._wrong(key, f"must be a string of at most {longest} characters")
        if not found.isascii() and any("\ud800" <= character <= "\udfff" for character in found):
            raise self._wrong(key, "must be valid Unicode")
        return found

    def hexadecimal(self, key: str, digits: int) -> str:
        """A string of exactly that many lower-case hex digits."""
        found = self._value.get(key)
        if not isinstance(found, str) or len(found) != digits or not _HEX.match(found):
            raise self._wrong(key, f"must be {digits} lower-case hex digits")
        return found

    def identifier(self, key: str) -> bytes:
        """A file id or sha256: 32 bytes, sent as hex."""
        return bytes.fromhex(self.hexadecimal(key, 64))

    def name(self, key: str) -> str:
        """A legal file name."""
        return self._checked(key, check_name, 1024)

    def prefix(self, key: str) -> str:
        """The beginning of a legal file name; "" if it is not there."""
        return self._checked(key, check_prefix, 1024, "")

    def url(self, key: str) -> str:
        """The base of a peer API."""
        return self._checked(key, check_url, 256)

    def peer_name(self, key: str) -> str:
        """What a peer calls itself: 1 to 64 characters, none a control character."""
        found = self.text(key, MAX_NAME_CHARACTERS)
        if not found or _CONTROL.search(found):
            raise self._wrong(key, "must be 1 to 64 characters, none of them a control character")
        return found

    def peer(self, key: str) -> Peer:
        """A peer as others reach it."""
        found = self.inside(key)
        return Peer(found.hexadecimal("peer_id", 64), found.peer_name("name"), found.url("url"))

    def inside(self, key: str) -> "Fields":
        """The object inside this one under `key`."""
        return Fields(self._value.get(key), self._path(key))

    def listing(self, key: str, longest: int, read: Callable[[object, str], _T]) -> list[_T]:
        """Each element of a list through `read(element, where)`; [] if the field is not there."""
        found = self._value.get(key, [])
        if not isinstance(found, list) or len(found) > longest:
            raise self._wrong(key, f"must be a list of at most {longest}")
        path = self._path(key)
        return [read(element, f"{path}[{number}]") for number, element in enumerate(found)]

    def _checked(self, key: str, check: Callable[[str], str], longest: int, default: str | None = None) -> str:
        try:
            return check(self.text(key, longest, default))
        except (InvalidName, ValueError) as error:
            raise self._wrong(key, str(error)) from None

    def _path(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key

    def _wrong(self, key: str, what: str) -> InvalidRequest:
        return InvalidRequest(f"{self._path(key)}: {what}")


def short_text(longest: int) -> Callable[[object, str], str]:
    """A reader for `Fields.listing`: strings of at most `longest` characters."""

    def read(value: object, where: str) -> str:
        return Fields({where: value}, "").text(where, longest)

    return read
