"""Runs a command so that what it prints is what a person at a terminal would see."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

_ROWS_AND_COLUMNS = struct.pack("HHHH", 40, 110, 0, 0)


def on_a_terminal(command: Sequence[str], environment: dict[str, str], folder: Path, stdin: Path | None = None) -> int:
    """Run `command` in `folder` on this terminal, or on one of its own whose text goes to our stdout; its status.

    `stdin`: a file that it reads.
    """
    with open(stdin or os.devnull, "rb") as given:
        return _shown(command, environment, folder, given)


def _shown(command: Sequence[str], environment: dict[str, str], folder: Path, given: BinaryIO) -> int:
    if sys.stdout.isatty():
        return subprocess.run(command, env=environment, cwd=folder, stdin=given, check=False).returncode
    # A log shall have neither colours nor a bar that redraws itself.
    plain = {"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "110"}
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, _ROWS_AND_COLUMNS)
    with subprocess.Popen(command, env=environment | plain, cwd=folder, stdin=given, stdout=its, stderr=its) as process:
        os.close(its)
        while printed := _read(ours):
            sys.stdout.write(printed.decode(errors="replace").replace("\r\n", "\n"))
    os.close(ours)
    sys.stdout.flush()
    return process.returncode


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # EIO: nobody has the other side any more
        return b""
