"""Which folder it is, wherever it is mounted: an id written in it."""

import os
import secrets

_FILE = ".p2p-share-id"  # hidden, so never shared
_DIGITS = 32
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC  # non-blocking: a FIFO must not hang


def identity_of(root: int) -> str:
    """The id written in the folder, made if there is none; where nothing can be written, device and inode."""
    try:
        written = _read_identity(root)
        if len(written) != _DIGITS:
            written = secrets.token_hex(_DIGITS // 2)
            _write_identity(root, written)
        return written
    except OSError:
        found = os.fstat(root)
        return f"{found.st_dev}:{found.st_ino}"


def _read_identity(root: int) -> str:
    try:
        opened = os.open(_FILE, _READ, dir_fd=root)
    except FileNotFoundError:
        return ""
    try:
        return os.pread(opened, _DIGITS, 0).decode(errors="replace")
    finally:
        os.close(opened)


def _write_identity(root: int, identity: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    opened = os.open(_FILE, flags, 0o644, dir_fd=root)
    try:
        os.write(opened, identity.encode())
    finally:
        os.close(opened)
