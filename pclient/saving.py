"""Writing a file of the share to a folder of the person's: checked while it is written, and never over another."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pclient.client import Client
from pclient.model import FileEntry, PClientError, WrongUsage
from pclient.progress import Display, Moment
from protos.names import InvalidName, check_name

_CHUNK_BYTES = 1024 * 1024
_NOT_ON_WINDOWS = frozenset('\\:*?"<>|')
_MAX_COPIES = 1000


def prepare(directory: str) -> Path:
    """The folder to save to, made if only it is missing. Raises WrongUsage if it cannot be one, or hangs in the air.

    The folders above it are not made: a path that is typed wrongly would come into being.
    """
    path = Path(os.path.expanduser(directory))  # noqa: PTH111  # Path.expanduser raises for an unknown user
    try:
        path.mkdir(exist_ok=True)
    except FileNotFoundError:
        raise WrongUsage(f"cannot save to {directory}: there is no folder {path.parent}; make it first") from None
    except (OSError, ValueError) as error:
        raise WrongUsage(f"cannot save to {directory}: {getattr(error, 'strerror', None) or error}") from None
    return path


def place(folder: Path, name: str) -> Path:
    """Where `name` goes in `folder`; the folders between are made. Raises PClientError.

    The name is checked as if a stranger had chosen it (one did): it cannot lead out of `folder`, not by "..", nor by
    a link that lies in the folder, nor by what a backslash or colon means to Windows.
    """
    try:
        parts = PurePosixPath(check_name(name)).parts
    except InvalidName as error:
        raise PClientError(f"cannot save {name}: {error}") from None
    if os.name == "nt" and any(_NOT_ON_WINDOWS & set(part) for part in parts):
        raise PClientError(f"cannot save {name}: Windows does not allow such a name")
    where = folder
    for part in parts[:-1]:
        where = where / part
        if where.is_symlink():
            raise PClientError(f"cannot save {name}: {where} is a link")
        _make_folder(where)
    return where / parts[-1]


def _make_folder(where: Path) -> None:
    try:
        where.mkdir(exist_ok=True)
    except OSError as error:
        raise PClientError(f"cannot make the folder {where}: {error.strerror}") from None


def is_there(entry: FileEntry, path: Path) -> bool:
    """Whether `path` is a file with the very bytes of `entry`."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size != entry["size"]:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == entry["sha256"]
    except OSError:
        return False


def free_name(path: Path) -> Path:
    """`path`, or the first of "name (2).suffix", "name (3).suffix"... that is not taken."""
    for number in range(2, _MAX_COPIES):
        candidate = path.with_name(f"{path.stem} ({number}){path.suffix}")
        if not os.path.lexists(candidate):
            return candidate
    raise PClientError(f"there are too many files like {path}")


def save(client: Client, entry: FileEntry, target: Path, display: Display) -> None:
    """Write a file of the share to `target`, atomically and only if nothing is there. Raises PClientError."""
    temporary = target.with_name(f".pclient-{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            _write(client, entry, file, display)
        _put_in_place(temporary, target)
    except FileExistsError:
        raise PClientError(f"{target} exists; it was not replaced", "exists") from None
    except OSError as error:
        raise PClientError(f"cannot write {target}: {error.strerror}") from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def _write(client: Client, entry: FileEntry, file: BinaryIO, display: Display) -> None:
    digest = hashlib.sha256()
    with client.api.content(entry["name"], _CHUNK_BYTES) as chunks:
        for chunk in _shown(client, entry, chunks, display):
            digest.update(chunk)
            file.write(chunk)
    if file.tell() != entry["size"] or digest.hexdigest() != entry["sha256"]:
        raise PClientError(f"what was read of {entry['name']} is not what its sha256 says; nothing was saved")
    file.flush()
    os.fsync(file.fileno())


def _shown(client: Client, entry: FileEntry, chunks: Iterator[bytes], display: Display) -> Iterator[bytes]:
    done, began = 0, client.clock()
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        seconds = client.clock() - began
        rate = done / seconds if seconds > 0 else 0.0
        display.show(Moment(f"saving {entry['name']}", "running", done, entry["size"], rate))


def _put_in_place(temporary: Path, target: Path) -> None:
    """Give the file its name unless that is taken. Raises FileExistsError."""
    if os.name == "nt":
        temporary.rename(target)  # there a rename never replaces
        return
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: hold the name with an empty file, then replace that
        target.touch(exist_ok=False)
        temporary.replace(target)
