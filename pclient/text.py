"""Words and numbers as a person reads them. Pure functions, but for the time zone."""

import unicodedata
from datetime import UTC, datetime

# Format characters that scripts and emoji need between other characters; next to plain ASCII they only mislead.
_JOINERS = frozenset("\u200c\u200d")
_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def harmless(text: str) -> str:
    """`text` on one line, with everything escaped that could act on a terminal or reorder what is read.

    Escaped: control characters (newlines too), terminal escapes, bidi overrides and other invisible format
    characters, lone surrogates (bytes that are no UTF-8), unassigned code points. A backslash stays one, so that it
    can be applied to what it has been applied to; where that matters, `name`.
    """
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    for before, character in zip(" " + text, text, strict=False):
        shown.append(character if _is_harmless(character, before) else _escaped(character))
    return "".join(shown)


def _is_harmless(character: str, before: str) -> bool:
    if character in _JOINERS:
        return not before.isascii()
    return unicodedata.category(character) not in _HARMFUL


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def name(raw: str) -> str:
    """A name as it is listed: harmless, and with a backslash doubled, so that two names never look the same."""
    return harmless(raw.replace("\\", "\\\\"))


def cells(text: str) -> int:
    """How many cells of a terminal `text` takes: a wide character takes two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    """`text` as lines of at most `width` cells, broken between words; all but the first begin with `indent` spaces.

    A word that is longer than a line has one to itself, whole: the terminal breaks it, and it can still be copied.
    """
    lines: list[str] = []
    first, *words = text.split(" ")
    line = first
    for word in words:
        if line.strip() and cells(line) + 1 + cells(word) > width:
            lines.append(line.rstrip())
            line = " " * indent + word
        else:
            line = f"{line} {word}"
    return [*lines, line]


def shortened(text: str, most: int) -> str:
    """`text` in at most `most` cells: of a longer one the beginning and the end, where names differ."""
    if cells(text) <= most:
        return text
    head, tail = text[: max(most // 2, 1)], text[-max((most - 1) // 2, 1) :]
    while cells(head) > max(most // 2, 1):
        head = head[:-1]
    while cells(tail) > max((most - 1) // 2, 1):
        tail = tail[1:]
    return f"{head}…{tail}"


def local_time(iso: str) -> str:
    """A time in ISO 8601 as a clock on the wall shows it: "2026-01-02 04:04:05". What is none stays as it is."""
    try:
        return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OSError, OverflowError):
        return iso


def unix_time(seconds: int) -> str:
    """A moment in Unix time, in seconds, as a clock on the wall shows it."""
    try:
        return local_time(datetime.fromtimestamp(seconds, UTC).isoformat())
    except (ValueError, OSError, OverflowError):
        return str(seconds)


def size(count: float) -> str:
    """Bytes: "0 B", "1023 B", "1.0 KiB", "3.4 GiB"."""
    if count < 1024:
        return f"{int(count)} B"
    for unit in _UNITS:
        count /= 1024
        if count < 1023.95 or unit == _UNITS[-1]:
            break
    return f"{count:.1f} {unit}"


def rate(bytes_a_second: float) -> str:
    """A rate: "3.4 MiB/s"."""
    return f"{size(bytes_a_second)}/s"


def duration(seconds: float) -> str:
    """A length of time in its two biggest units: "8 s", "3 min 05 s", "2 h 10 min", "3 d 4 h"."""
    whole = max(0, round(seconds))
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour} h"
    if hours:
        return f"{hours} h {minute:02} min"
    if minutes:
        return f"{minutes} min {second:02} s"
    return f"{second} s"


def short_id(hex_id: str) -> str:
    """The first 12 digits: enough to tell ids apart by eye."""
    return hex_id[:12]


def count_of(number: int, noun: str) -> str:
    """ "1 file", "2 files"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
