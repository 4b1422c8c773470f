"""A network on one machine: nodes with links of known speed. Needs root (CAP_SYS_ADMIN and CAP_NET_ADMIN).

Each node is a network namespace with one address, 10.77.0.NODE, on a bridge that lies in a namespace of its own:
nothing of it is in the machine's own network, and no address outside these namespaces is ever used. Each link is
bounded in both directions by tc's htb: a node's uplink at the node, its downlink at the bridge.

One lab at a time. It is taken down when the `with` ends, however it ends; what a killed run left behind, processes
in its namespaces included, is removed before the next begins.

`python -m bench.lab` removes such left-overs and does nothing else.
"""

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from bench.rows import CannotRun, say

_PREFIX = "p2pbench-"
_SWITCH = f"{_PREFIX}switch"
_LOCK = Path(tempfile.gettempdir()) / "p2pbench-lab.lock"
_NETNS = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_BURST = "64k"
_QUEUE_PACKETS = 500
_MOST_NODES = 250


class Lab:
    """`rates`: Mbit/s of each node's link, by the node's number (1 to 250). A context manager."""

    def __init__(self, rates: Mapping[int, float]) -> None:
        assert all(1 <= node <= _MOST_NODES for node in rates)
        self._rates = rates
        self._lock: int | None = None

    def __enter__(self) -> "Lab":
        check_can_run()
        self._lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise CannotRun("another network lab is running on this machine") from None
        try:
            remove_leftovers()
            self._build()
        except BaseException:
            self._take_down()
            raise
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._take_down()

    @staticmethod
    def address(node: int) -> str:
        """The address of a node."""
        return f"10.77.0.{node}"

    @contextmanager
    def inside(self, node: int) -> Iterator[None]:
        """Within this, sockets that this thread makes and processes that it starts are that node's."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(_NETNS / _namespace(node), os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(there)
            yield
        finally:
            _enter(home)
            os.close(there)
            os.close(home)

    def set_rate(self, node: int, mbit: float) -> None:
        """Change the speed of a link, both ways, at once."""
        for namespace, device in ((_namespace(node), "eth0"), (_SWITCH, f"v{node}")):
            _tc(namespace, "class", "change", "dev", device, *_class(mbit))

    def _build(self) -> None:
        _ip("netns", "add", _SWITCH)
        _ip("-n", _SWITCH, "link", "add", "bridge", "type", "bridge")
        _ip("-n", _SWITCH, "link", "set", "bridge", "up")
        for node, mbit in self._rates.items():
            self._add_node(node, mbit)

    def _add_node(self, node: int, mbit: float) -> None:
        name, port = _namespace(node), f"v{node}"
        _ip("netns", "add", name)
        _ip("-n", _SWITCH, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("-n", _SWITCH, "link", "set", port, "master", "bridge", "up")
        _ip("-n", name, "address", "add", f"{self.address(node)}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _limit(name, "eth0", mbit)
        _limit(_SWITCH, port, mbit)

    def _take_down(self) -> None:
        try:
            remove_leftovers()
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None


def check_can_run() -> None:
    """CannotRun, saying what is missing."""
    if os.geteuid() != 0:
        raise CannotRun("the network lab needs root: it makes network namespaces and shapes their links")
    missing = [tool for tool in ("ip", "tc") if shutil.which(tool) is None]
    if missing:
        raise CannotRun(f"the network lab needs {' and '.join(missing)} (Debian: iproute2)")


def remove_leftovers() -> None:
    """End the processes in all namespaces of a lab and remove these. Nothing else is touched."""
    names = [path.name for path in _NETNS.glob(f"{_PREFIX}*")] if _NETNS.is_dir() else []
    for name in names:
        _end_processes(name)
    for name in names:
        _ip("netns", "delete", name)


def _end_processes(namespace: str) -> None:
    """SIGKILL to each until there is none. Not to this process, of which a thread may be inside."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
        inside = [int(pid) for pid in found.stdout.split() if int(pid) != os.getpid()]
        if not inside:
            return
        for pid in inside:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it ended by itself
        time.sleep(0.02)
    say(f"processes in {namespace} do not end: {inside}")


def _namespace(node: int) -> str:
    return f"{_PREFIX}{node}"


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns came with Python 3.12
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot enter the network namespace")


def _limit(namespace: str, device: str, mbit: float) -> None:
    _tc(namespace, "qdisc", "add", "dev", device, "root", "handle", "1:", "htb", "default", "1")
    _tc(namespace, "class", "add", "dev", device, *_class(mbit))
    queue = ("handle", "10:", "pfifo", "limit", str(_QUEUE_PACKETS))
    _tc(namespace, "qdisc", "add", "dev", device, "parent", "1:1", *queue)


def _class(mbit: float) -> tuple[str, ...]:
    rate = f"{round(mbit * 1000)}kbit"
    bounds = ("rate", rate, "ceil", rate, "burst", _BURST, "cburst", _BURST, "quantum", "15140")
    return ("parent", "1:", "classid", "1:1", "htb", *bounds)


def _tc(namespace: str, *arguments: str) -> None:
    _run("tc", "-n", namespace, *arguments)


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise CannotRun(f"{' '.join(command)}: {ended.stderr.strip()}")


if __name__ == "__main__":
    check_can_run()
    remove_leftovers()
