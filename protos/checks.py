"""What `--check` looks at in both servers, without changing a thing or disturbing one that runs.

Each function that looks for a problem returns it in a line that says what to do, or None.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import fields, is_dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_OPENED_SECONDS = 2.0


def shown(settings: object, prefix: str = "") -> Iterator[tuple[str, str]]:
    """The values that a dataclass of settings holds, as text, parts of parts too ("tls.key"). Of a secret only that it
    is there: bytes never hold anything else. What is only told at the start (`warnings`) is left out."""
    assert is_dataclass(settings)
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value):
            yield from shown(value, f"{prefix}{field.name}.")
        elif field.name != "warnings":
            yield prefix + field.name, _as_text(value)


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        return "given (not shown)"
    if value is None or value == ():
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        where = len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)
        return f"{value[0]}:{value[1]}" if where else ", ".join(map(str, value))
    return str(value)


def folder_problem(path: Path, above: bool = True) -> str | None:
    """Whether a folder can be read and written, or else be made; if not `above`, only in a folder that is there."""
    if path.exists() and not path.is_dir():
        return f"{path} is no folder"
    if path.exists():
        return (
            None if os.access(path, os.R_OK | os.W_OK | os.X_OK) else f"{path} cannot be read and written by this user"
        )
    parents = path.absolute().parents
    place = next(one for one in parents if one.exists()) if above else parents[0]
    return None if os.access(place, os.W_OK | os.X_OK) else f"{path} is not there and cannot be made in {place}"


def database_problem(path: Path, newest: int) -> str | None:
    """Whether a SQLite file, if it is there, can be read and has no schema beyond `newest`. Opened read-only."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", _OPENED_SECONDS, uri=True)) as opened:
            found = int(opened.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        return f"{path} cannot be read: {error}"
    if found > newest:
        return f"{path} was made by a newer version (its schema is {found}, this one knows {newest}): use that version"
    return None


def key_problem(path: Path, whose: str) -> str | None:
    """Whether the Ed25519 key in `path`, if it is there, can be read. `whose`: "a peer", "the locator"."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        return None  # one is made
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    except (ValueError, TypeError):
        key = None
    good = isinstance(key, Ed25519PrivateKey)
    return None if good else f"{path} holds no key of {whose}; move it away to get a new one"


def tell(
    settings: object, names: Mapping[str, str], notes: Iterable[str], problems: Iterable[str]
) -> tuple[list[str], bool]:
    """The lines that `--check` prints, and whether all is well: the values, what is odd, what is wrong.

    `names`: the setting of each value that `shown` gives; one that is not there goes by its own.
    """
    values = [(names.get(name, name), value) for name, value in shown(settings)]
    width = max(len(name) for name, _value in values)
    wrong = [f"problem: {problem}" for problem in problems]
    lines = [f"{name:{width}}  {value}" for name, value in values] + [f"note: {note}" for note in notes] + wrong
    return [*lines, "problems were found" if wrong else "all is well"], not wrong
