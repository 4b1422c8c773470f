"""What lies beside a share and nobody may touch: a folder that hears of every open, read and write of what is in it."""

import ctypes
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECRET = b"canary 7f3d1c: this lies outside the share\n"
# inotify(7): every event but those of closing
_EVERYTHING = 0x001 | 0x002 | 0x004 | 0x020 | 0x040 | 0x080 | 0x100 | 0x200 | 0x400 | 0x800
_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


_FOLDER = 0x40000000  # IN_ISDIR


class Watched:
    """What happens in these folders."""

    def __init__(self, *folders: Path) -> None:
        self._fd = int(_libc.inotify_init1(os.O_NONBLOCK))
        for folder in folders:
            assert _libc.inotify_add_watch(self._fd, os.fsencode(folder), ctypes.c_uint32(_EVERYTHING)) >= 0

    def take(self) -> tuple[list[str], list[str]]:
        """The mask and name of each event since the last time: those of looking into folders, and all others."""
        looks: list[str] = []
        others: list[str] = []
        while data := self._read():
            while data:
                _, mask, _, length = _EVENT.unpack(data[: _EVENT.size])
                name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
                (looks if mask in {_FOLDER | 0x20, _FOLDER | 0x1} else others).append(f"{mask:#x} {os.fsdecode(name)}")
                data = data[_EVENT.size + length :]
        return looks, others

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, 65536)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self._fd)


class Outside:
    """A folder with secrets in it, at `path`.

    Whoever walks the whole disk meanwhile, and has nothing to do with the tests, looks into folders too: such a one is
    known by looking into another folder that no name and no link of a test leads to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "inner").mkdir(parents=True)
        for name in ("secret.txt", "inner/secret.txt", "a.txt"):
            (path / name).write_bytes(SECRET)
        self._before = self._look()
        self._elsewhere = Path(tempfile.mkdtemp())
        self._control = Watched(self._elsewhere)
        self._watched = Watched(path, path / "inner")

    def assert_untouched(self) -> None:
        """Nobody opened, read, wrote, made or deleted anything in it."""
        (looks, events), walked = self._watched.take(), self._control.take()[0]
        now = self._look()
        self._watched.take()  # what this look was
        assert events == [], f"somebody was there: {events[:20]}"
        assert not looks or walked, f"somebody looked into it: {looks[:20]}"
        assert now == self._before, "something was changed there"

    def _look(self) -> list[tuple[str, int, bytes]]:
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        return [(str(path), path.stat().st_ino, path.read_bytes()) for path in files]

    def close(self) -> None:
        self._watched.close()
        self._control.close()
        self._elsewhere.rmdir()


@contextmanager
def outside_at(path: Path) -> Iterator[Outside]:
    """Such a folder, looked at once more at the end."""
    made = Outside(path)
    try:
        yield made
        made.assert_untouched()
    finally:
        made.close()


def set_traps(share: Path, outside: Path) -> None:
    """Links of every kind in the share that lead out of it, and a FIFO that hangs whoever opens it."""
    (share / "docs").mkdir(parents=True, exist_ok=True)
    (share / "docs/ok.txt").write_text("inside")
    for name, target in (
        ("link", outside / "secret.txt"),
        ("linked", outside),
        ("up", share.parent),
        ("docs/up", share.parent),
        ("root", Path("/")),
        ("loop", share / "loop"),
        ("proc", Path("/proc")),
    ):
        (share / name).symlink_to(target)
    os.mkfifo(share / "fifo")
