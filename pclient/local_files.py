"""Which files of this machine are meant by the paths of `add` and `upload`, and what they will be called."""

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pclient.model import NotFound, WrongUsage
from protos.names import InvalidName, check_name


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to add, and its name in the share."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is not added, and why."""

    path: Path
    why: str


def meant_by(paths: Sequence[str], name: str | None) -> list[LocalFile | LeftOut]:
    """The files that `paths` name, folders with all that is below them. Raises NotFound, WrongUsage.

    A file is called as its last part, a file of a folder FOLDER/... `name` (`--as`), for one path only, is used
    instead of the file's or folder's own.
    """
    if name is not None and len(paths) > 1:
        raise WrongUsage("--as names one thing: give one path with it")
    found: list[LocalFile | LeftOut] = []
    for given in paths:
        found += _below(given, name)
    return found


def _below(given: str, name: str | None) -> Iterator[LocalFile | LeftOut]:
    path = Path(os.path.expanduser(given))  # noqa: PTH111  # Path.expanduser raises for an unknown user
    called = unicodedata.normalize("NFC", name if name is not None else _own_name(path))
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"there is no {given} on this machine") from None
    except (OSError, ValueError) as error:
        raise WrongUsage(f"cannot look at {given}: {getattr(error, 'strerror', None) or error}") from None
    if stat.S_ISDIR(mode):
        yield from _of_folder(path, _checked(called.rstrip("/")))
    elif stat.S_ISREG(mode):
        yield LocalFile(path, _checked(called))
    else:
        raise WrongUsage(f"{given} is neither a file nor a folder")


def _own_name(path: Path) -> str:
    """The last part of a path; of `.` and `..` that of the folder they mean."""
    return path.name if path.name not in {"", ".."} else path.resolve().name


def _of_folder(folder: Path, called: str) -> Iterator[LocalFile | LeftOut]:
    """Everything below, in the order of names. Hidden files, links and special files are left out."""
    failed: list[LeftOut] = []

    def remember(error: OSError) -> None:
        failed.append(LeftOut(Path(str(error.filename)), f"cannot be read: {error.strerror}"))

    for where, folders, files in os.walk(folder, onerror=remember):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for file in sorted(files):
            if not file.startswith("."):
                yield _in_folder(folder, Path(where) / file, called)
        yield from _linked(Path(where), folders)
    yield from failed


def _linked(where: Path, folders: Sequence[str]) -> Iterator[LeftOut]:
    return (LeftOut(where / one, "is a link to a folder") for one in folders if (where / one).is_symlink())


def _in_folder(folder: Path, path: Path, called: str) -> LocalFile | LeftOut:
    name = unicodedata.normalize("NFC", f"{called}/{path.relative_to(folder).as_posix()}")
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return LeftOut(path, "is a link or a special file")
        return LocalFile(path, check_name(name))
    except OSError as error:
        return LeftOut(path, f"cannot be read: {error.strerror}")
    except InvalidName as error:
        return LeftOut(path, str(error))


def _checked(name: str) -> str:
    try:
        return check_name(name)
    except InvalidName as error:
        raise WrongUsage(f"'{name}' cannot be a name in the share: {error}") from None
