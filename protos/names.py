"""What a file may be called.

A name is data: a relative POSIX path in Unicode NFC, never a path on this machine. Whoever takes one from
outside calls `check_name` before anything else, and uses what it returns.
"""

import re
import unicodedata

MAX_COMPONENT_BYTES = 255  # NAME_MAX of every common file system
MAX_NAME_BYTES = 1024
_PLAIN = re.compile(r"[^/.\0][^/\0]*(?:/[^/.\0][^/\0]*)*")  # components that do not begin with a dot


class InvalidName(ValueError):
    """That name cannot be used: the message says why."""


def check_name(name: str) -> str:
    """Return `name` unchanged if it is a legal file name.

    Legal: 1 to 1,024 bytes of UTF-8 in NFC; components separated by single slashes, each 1 to 255 bytes, none
    of which begins with a dot (hidden files are not shared, and this rules out "." and ".."); no NUL.
    Raises InvalidName.
    """
    if len(name) <= MAX_COMPONENT_BYTES and name.isascii() and _PLAIN.fullmatch(name):
        return name  # as nearly all are: a list of ten thousand is checked several times on its way
    if not name:
        raise InvalidName("a file name cannot be empty")
    encoded_length = _encoded_length(name)
    if encoded_length > MAX_NAME_BYTES:
        raise InvalidName(f"a file name can have {MAX_NAME_BYTES} bytes, this one has {encoded_length}")
    if "\0" in name:
        raise InvalidName("a file name cannot contain a NUL")
    if name.startswith("/"):
        raise InvalidName("a file name is relative to the share: it cannot begin with a slash")
    for component in name.split("/"):
        _check_component(component)
    if not name.isascii() and not unicodedata.is_normalized("NFC", name):
        raise InvalidName("a file name must be in Unicode normal form C")
    return name


def check_prefix(prefix: str) -> str:
    """Return `prefix` if it can be the beginning of a legal name ("", "docs/", "docs/rep"); else InvalidName."""
    if prefix:
        check_name(prefix.removesuffix("/") or "/")
    return prefix


def _encoded_length(name: str) -> int:
    try:
        return len(name.encode())
    except UnicodeEncodeError:
        raise InvalidName("a file name must be valid UTF-8") from None


def _check_component(component: str) -> None:
    if not component:
        raise InvalidName("a file name cannot have an empty part (two slashes, or one at its end)")
    if component in {".", ".."}:
        raise InvalidName("a file name cannot have '.' or '..' as a part")
    if component.startswith("."):
        raise InvalidName("hidden files (with a part that begins with a dot) are not shared")
    if len(component.encode()) > MAX_COMPONENT_BYTES:
        raise InvalidName(f"each part of a file name can have {MAX_COMPONENT_BYTES} bytes")
