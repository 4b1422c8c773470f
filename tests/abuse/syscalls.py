"""The system calls of a running process, as strace saw them. No tests here."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.processes import Server, wait_for

MISSING = shutil.which("strace") is None
_CALLS = "fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,pwrite64,write,writev,sendmsg,sendto,unlinkat"
_BEGUN = re.compile(r"^(\d+) +(\w+)\((.*?)( <unfinished \.\.\.>)?$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")


@dataclass
class Call:
    """One system call: its text as strace shows it, and at which lines of the trace it began and ended."""

    name: str
    text: str
    began: int
    ended: int

    def has(self, *words: str) -> bool:
        """Whether all of them stand in it."""
        return all(word in self.text for word in words)


class Trace:
    """What was traced; `calls` reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def calls(self) -> list[Call]:
        """All calls that ended, in the order in which they began."""
        found: list[Call] = []
        open_calls: dict[tuple[str, str], Call] = {}
        for number, line in enumerate(self.path.read_text(errors="replace").splitlines()):
            if resumed := _RESUMED.match(line):
                call = open_calls.pop((resumed[1], resumed[2]), None)
                if call is not None:
                    call.ended, call.text = number, call.text + resumed[3]
            elif begun := _BEGUN.match(line):
                call = Call(begun[2], begun[3], number, number)
                found.append(call)
                if begun[4]:
                    open_calls[begun[1], begun[2]] = call
        return [call for call in found if id(call) not in {id(each) for each in open_calls.values()}]

    def first(self, after: int, names: set[str], *words: str) -> Call:
        """The first such call that began after that line; AssertionError if there is none."""
        for call in self.calls():
            if call.began > after and call.name in names and call.has(*words):
                return call
        raise AssertionError(f"after line {after} of {self.path} there is no {names} with {words}")


@contextmanager
def traced(server: Server, path: Path) -> Iterator[Trace]:
    """Trace the server's process until the end of the block. Raises PermissionError if that is not allowed here."""
    assert server.process is not None
    command = [
        "strace",
        "-f",
        "-yy",
        "-s",
        "70000",
        "-e",
        f"trace={_CALLS}",
        "-o",
        str(path),
        "-p",
        str(server.process.pid),
    ]
    said = path.with_suffix(".said")
    with open(said, "wb") as errors:
        strace = subprocess.Popen(command, stderr=errors, stdin=subprocess.DEVNULL)
    try:
        wait_for("strace is attached", lambda: _attached(strace, said))
        yield Trace(path)
    finally:
        if strace.poll() is None:
            strace.send_signal(signal.SIGINT)
        strace.wait(20)


def _attached(strace: "subprocess.Popen[bytes]", said: Path) -> bool:
    told = said.read_text(errors="replace")
    if strace.poll() is not None:
        raise PermissionError(told)
    return "attached" in told
