"""A thousand clients that hold connections to the peer API, from one address and from many: the others are served."""

import contextlib
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.slow_clients import EACH, Crowd, crowd_at, kinds, pressing
from demo.processes import wait_for
from tests.abuse.lone_peer import LonePeer, indexed, running
from tests.pserver.fake_source import manifest_of

pytestmark = [pytest.mark.abuse, pytest.mark.timeout(600)]
LARGE = bytes(range(256)) * (32 << 12)  # 32 MiB
ONE, MANY = ["127.0.0.9"], [f"127.0.1.{last}" for last in range(1, 65)]
PRESS_SECONDS = 20.0
ANSWER_SECONDS = 5.0  # what is promised on any machine; `make bench` says how it compares with an idle peer
GONE_SECONDS = 120.0  # the longest deadline is that of a body, 60 s


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[LonePeer]:
    """A peer with one large file."""
    made = LonePeer(tmp_path / "peer")
    (made.share / "large").write_bytes(LARGE)
    with running(made):
        indexed(made, "large")
        yield made


@pytest.fixture(autouse=True)
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("sources", [ONE, MANY], ids=["one address", "many addresses"])
def test_who_holds_connections_keeps_nobody_out(peer: LonePeer, sources: list[str]) -> None:
    file_id = manifest_of(LARGE).file_id.hex()
    bearer, path = peer.bearer("file", file_id), f"/peer/v1/files/{file_id}"
    asked = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer['Authorization']}\r\n\r\n"
    host, _, port = peer.addresses["peer"].removeprefix("http://").rpartition(":")
    with crowd_at((host, int(port)), kinds(asked.encode()), sources) as crowd:
        healths, downloads = 0, 0
        with pressing(crowd):
            wait_for("the crowd is there", lambda: crowd.opened >= 4 * EACH, 60)
            ends = time.monotonic() + PRESS_SECONDS
            while time.monotonic() < ends:
                healths += is_healthy(peer)
                downloads += is_downloaded(peer, path, bearer)
        assert healths > 10 and downloads == healths
        wait_for("the connections of the crowd are gone", lambda: left(crowd) == 0, GONE_SECONDS)
        wait_for("the peer has no more connections of theirs", lambda: established(peer, sources) == 0)
    assert is_healthy(peer)


def is_healthy(peer: LonePeer) -> bool:
    """Asked on a connection of its own; fails if it takes too long."""
    with contextlib.closing(peer.stranger()) as stranger:
        began = time.monotonic()
        status = stranger.ask("GET", "/healthz")[0]
        assert time.monotonic() - began < ANSWER_SECONDS
        return status == 200


def is_downloaded(peer: LonePeer, path: str, bearer: dict[str, str]) -> bool:
    with contextlib.closing(peer.stranger()) as member:
        return member.ask("GET", path, headers=bearer)[1] == LARGE


def left(crowd: Crowd) -> int:
    """One byte more on each that drips, and how many the peer has not closed."""
    crowd.tick(renew=False)
    return crowd.alive()


def established(peer: LonePeer, sources: list[str]) -> int:
    """The connections of these addresses that the peer's process has."""
    assert peer.process is not None
    found = psutil.Process(peer.process.pid).net_connections("tcp")
    return sum(bool(one.raddr) and one.raddr[0] in sources for one in found)
