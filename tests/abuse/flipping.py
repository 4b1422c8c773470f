"""A folder and a link out of the share that change places as fast as the kernel can (renameat2's EXCHANGE)."""

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator
from pathlib import Path

_EXCHANGE = 2
_libc = ctypes.CDLL(None, use_errno=True)


class Flips:
    """How often they have changed places so far."""

    count = 0


@contextlib.contextmanager
def flipping(one: Path, other: Path) -> Iterator[Flips]:
    """The two change places in a thread until the block ends."""
    flips, stop = Flips(), threading.Event()
    names = os.fsencode(one), os.fsencode(other)

    def flip() -> None:
        while not stop.is_set():
            for _ in range(100):
                assert _libc.renameat2(-100, names[0], -100, names[1], ctypes.c_uint(_EXCHANGE)) == 0
            flips.count += 100

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        yield flips
    finally:
        stop.set()
        thread.join()
