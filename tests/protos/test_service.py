"""What systemd is told, seen at the socket's other end."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from protos.service import ServiceManager


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """The other end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(5)
        yield end


def _told(end: socket.socket) -> list[str]:
    return end.recv(4096).decode().splitlines()


def test_the_life_of_a_service(systemd: socket.socket) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": str(systemd.getsockname())})
    manager.ready("listening")
    assert _told(systemd) == ["READY=1", "WATCHDOG=1", "STATUS=listening"]
    manager.alive("3 peers")
    assert _told(systemd) == ["WATCHDOG=1", "STATUS=3 peers"]
    manager.troubled("no answer")
    assert _told(systemd) == ["STATUS=no answer"]
    manager.stopping(2.5)
    assert _told(systemd) == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=2500000", "STATUS=stopping"]


def test_a_status_is_one_line_whatever_is_in_it(systemd: socket.socket) -> None:
    """A peer's words are in it: they must not become an assignment of their own."""
    ServiceManager({"NOTIFY_SOCKET": str(systemd.getsockname())}).troubled("a\nWATCHDOG=1\n" + "x" * 500)
    (line,) = _told(systemd)
    assert line.startswith("STATUS=a WATCHDOG=1 xxx")
    assert len(line) < 250


def test_an_abstract_address() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind("")  # the kernel chooses one
        end.settimeout(5)
        name = end.getsockname()[1:].decode()
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).alive("")
        assert _told(end)[0] == "WATCHDOG=1"


def test_without_systemd_nothing_is_told() -> None:
    manager = ServiceManager({})
    assert not manager.listens
    manager.ready("listening")


def test_a_socket_that_is_gone_or_full_holds_nothing_up(tmp_path: Path, systemd: socket.socket) -> None:
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).alive("well")
    manager = ServiceManager({"NOTIFY_SOCKET": str(systemd.getsockname())})
    for _ in range(5000):  # more than any queue holds
        manager.alive("well")


@pytest.mark.parametrize(
    ("said", "seconds"), [({}, 10.0), ({"WATCHDOG_USEC": "4000000"}, 1.0), ({"WATCHDOG_USEC": "x"}, 10.0)]
)
def test_how_often(said: dict[str, str], seconds: float) -> None:
    assert ServiceManager(said).seconds == seconds
