"""Linux system calls that Python does not offer, through ctypes: openat2, renameat2, syncfs (and statfs for it).

All are optional: where the kernel, a sandbox or the file system refuses them, the caller takes a slower way that
promises the same.
"""

import ctypes
import errno
import os

_OPENAT2 = 437  # one number on every architecture: calls since Linux 5.1 share them
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_RENAME_NOREPLACE = 1
_RETRIES = 16  # openat2 gives EAGAIN when a folder on the way was moved meanwhile


# File systems on which syncfs is an fsync of every file: not FUSE, where it may do nothing, nor what lies over others.
_TMPFS = 0x01021994
_SYNCED_WHOLE = {0xEF53: "ext", 0x58465342: "xfs", 0x9123683E: "btrfs", 0xF2F52010: "f2fs", _TMPFS: "tmpfs"}
_STATFS_BYTES = 256  # more than struct statfs has anywhere
_ERRORS_TOLD = (5, 8)  # the Linux since which syncfs says that something could not be written


class NotSupported(Exception):
    """This system call is not to be had here."""


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_renameat2 = getattr(_libc, "renameat2", None)  # glibc 2.28, musl 1.2.6


def open_beneath(folder_fd: int, path: bytes, flags: int) -> int:
    """Open `path` below `folder_fd`, following no link of any kind and never leaving the folder.

    Raises OSError as open(2) does; ELOOP: a link is on the way, EXDEV: the path leaves the folder.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS)
    number = 0
    for _ in range(_RETRIES):
        opened = int(
            _libc.syscall(
                ctypes.c_long(_OPENAT2),
                ctypes.c_int(folder_fd),
                ctypes.c_char_p(_without_nul(path)),
                ctypes.byref(how),
                ctypes.c_size_t(ctypes.sizeof(how)),
            )
        )
        if opened >= 0:
            return opened
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(number, os.strerror(number), os.fsdecode(path))


def has_open_beneath() -> bool:
    """Whether openat2 works here: kernels before 5.6 lack it (ENOSYS), some sandboxes refuse it (EPERM)."""
    root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        os.close(open_beneath(root, b".", os.O_PATH))
    except OSError:
        return False
    finally:
        os.close(root)
    return True


def rename_without_replacing(from_fd: int, from_name: bytes, to_fd: int, to_name: bytes) -> None:
    """Move a file between two folders in one step; FileExistsError if the new name is taken. Or NotSupported."""
    if _renameat2 is None:
        raise NotSupported
    names = _without_nul(from_name), _without_nul(to_name)
    if _renameat2(from_fd, names[0], to_fd, names[1], ctypes.c_uint(_RENAME_NOREPLACE)) == 0:
        return
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.EPERM):
        raise NotSupported
    raise OSError(number, os.strerror(number), os.fsdecode(to_name))


def syncs_whole(fd: int) -> bool:
    """Whether `sync_file_system` there is as good as an fsync of each file."""
    return _linux() >= _ERRORS_TOLD and _file_system(fd) in _SYNCED_WHOLE


def sync_file_system(fd: int) -> None:
    """Get everything written to the file system of that descriptor onto the disk. Raises OSError if that failed."""
    if _libc.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def in_memory(fd: int) -> bool:
    """Whether that file lies on a tmpfs."""
    return _file_system(fd) == _TMPFS


def _file_system(fd: int) -> int:
    found = ctypes.create_string_buffer(_STATFS_BYTES)
    if _libc.fstatfs(fd, found) != 0:
        return 0
    return ctypes.c_ulong.from_buffer(found).value & 0xFFFFFFFF  # f_type comes first


def _linux() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(filter(str.isdigit, minor[:3])))


def _without_nul(name: bytes) -> bytes:
    # A C string ends at a NUL: the kernel would see another name than the one that was checked.
    if b"\0" in name:
        raise OSError(errno.EINVAL, "a file name cannot contain a NUL")
    return name
