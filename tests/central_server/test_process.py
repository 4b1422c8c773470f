"""The real process: it starts, dies, comes back with its store or without, and refuses in one clear line."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from protos import locator_pb2 as pb
from tests.central_server.peer_double import PeerDouble, listening
from tests.central_server.samples import entry

START_SECONDS = 15


class Process:
    """A central server with its state in `folder`, on the same port after each start."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = 0
        self.said = ""
        self.settings = {"LOCATOR_STATE_DIR": str(folder / "state"), "LOCATOR_LEASE_SECONDS": "20", **settings}
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = run(self.folder, {**self.settings, "LOCATOR_LISTEN": f"127.0.0.1:{self.port}"})
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said += line
            if found := re.search(r"listening on \S+:(\d+)$", line):
                self.port = int(found[1])
                return
        raise AssertionError(self.said)

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self._process is not None and self._process.stderr is not None
        self._process.send_signal(number)
        _, said = self._process.communicate(timeout=START_SECONDS)
        self.said += said
        return self._process.returncode

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.end(signal.SIGKILL)


def run(folder: Path, settings: dict[str, str], *arguments: str) -> "subprocess.Popen[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCATOR_")}
    command = [sys.executable, "-W", "error", "-m", "central_server", *arguments]
    environment = {**kept, "HOME": str(folder), "PYTHONPATH": str(Path(__file__).parents[2])}
    environment |= {"LOCATOR_LOG_FORMAT": "text", **settings}
    return subprocess.Popen(
        command, env=environment, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def refusal(folder: Path, settings: dict[str, str], *arguments: str) -> tuple[int, str]:
    process = run(folder, settings, *arguments)
    _, said = process.communicate(timeout=START_SECONDS)
    return process.returncode, said


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def ann() -> Iterator[PeerDouble]:
    with listening(PeerDouble("ann")) as peer:
        yield peer


def wait_for_channel(port: int) -> grpc.Channel:
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    grpc.channel_ready_future(channel).result(START_SECONDS)
    return channel


def has_a(channel: grpc.Channel, peer: PeerDouble) -> bool:
    request = pb.LocateRequest(queries=[pb.LocateQuery(name="a")])
    return bool(peer.call(channel, "Locate", request).results[0].groups)


def test_killed_and_started_with_its_store_it_asks_nothing_again(server: Process, ann: PeerDouble) -> None:
    with wait_for_channel(server.port) as channel:
        ann.register(channel, 1)
        ann.share(channel, 1, [entry("a")])
    server.end(signal.SIGKILL)
    server.start()
    with wait_for_channel(server.port) as channel:
        assert has_a(channel, ann)
        state = ann.heartbeat(channel, 1).state
        assert (state.sequence, state.snapshot_wanted) == (1, False)


def test_killed_and_started_without_its_store_it_asks_for_everything(server: Process, ann: PeerDouble) -> None:
    with wait_for_channel(server.port) as channel:
        ann.register(channel, 1)
        ann.share(channel, 1, [entry("a")])
    server.end(signal.SIGKILL)
    key = (server.folder / "state" / "locator.key").read_bytes()
    for left in (server.folder / "state").glob("locator.sqlite*"):
        left.unlink()
    server.start()
    assert (server.folder / "state" / "locator.key").read_bytes() == key
    with wait_for_channel(server.port) as channel:
        with pytest.raises(grpc.RpcError, match="Register again"):
            ann.heartbeat(channel, 1)
        reply = ann.register(channel, 1)
        assert reply.state.snapshot_wanted and reply.state.snapshot_delay_ms <= reply.heartbeat_ms
        assert not has_a(channel, ann)
        ann.share(channel, 1, [entry("a")])
        assert has_a(channel, ann)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(server: Process, ann: PeerDouble, number: int) -> None:
    with wait_for_channel(server.port) as channel:
        ann.register(channel, 1)
        began = time.monotonic()
        assert server.end(number) == 0
    assert time.monotonic() - began < 5
    assert "stopping" in server.said and "Traceback" not in server.said
    assert not (server.folder / "state" / "locator.sqlite-wal").exists()


def test_its_key_is_its_own(server: Process) -> None:
    key = server.folder / "state" / "locator.key"
    assert key.stat().st_mode & 0o777 == 0o600
    server.end()
    key.write_text("not a key")
    code, said = refusal(server.folder, server.settings | {"LOCATOR_LISTEN": "127.0.0.1:0"})
    assert code == 1 and "holds no Ed25519 key" in said and said.count("\n") == 1


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = refusal(tmp_path, {"LOCATOR_LISTEN": f"127.0.0.1:{port}"})
    assert code == 1
    assert said.startswith("central-server: ") and said.count("\n") == 1  # and none of gRPC's own
    assert str(port) in said and "in use" in said


def test_a_second_one_on_the_same_store_is_refused(server: Process) -> None:
    code, said = refusal(server.folder, server.settings | {"LOCATOR_LISTEN": "127.0.0.1:0"})
    assert code == 1 and "another central server" in said and said.count("\n") == 1


def test_a_state_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, said = refusal(tmp_path, {"LOCATOR_STATE_DIR": str(tmp_path / "file" / "state")})
    assert code == 1 and "file/state" in said and said.count("\n") == 1


def test_a_wrong_setting_stops_the_start_from_the_environment_and_from_a_file(tmp_path: Path) -> None:
    code, said = refusal(tmp_path, {"LOCATOR_LEASE_SECONDS": "soon"})
    assert code == 2 and "LOCATOR_LEASE_SECONDS" in said and said.count("\n") == 1
    (tmp_path / ".env").write_text("LOCATOR_LISTEN=here\n")
    assert refusal(tmp_path, {})[0] == 2
    (tmp_path / "other.env").write_text("LOCATOR_LOG_LEVEL=chatty\n")
    code, said = refusal(tmp_path, {}, "--env-file", "other.env")
    assert code == 2 and "LOCATOR_LOG_LEVEL" in said
    assert refusal(tmp_path, {}, "--env-file", "missing.env")[0] == 2


def test_a_misspelt_setting_is_one_line_of_the_log(tmp_path: Path) -> None:
    process = Process(tmp_path, LOCATOR_LEASE_SECOND="5")
    try:
        process.start()
        assert [line for line in process.said.splitlines() if "LOCATOR_LEASE_SECOND " in line and "WARNING" in line]
    finally:
        process.stop()


def test_it_says_its_version(tmp_path: Path) -> None:
    process = run(tmp_path, {}, "--version")
    said, _ = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 0 and said.startswith("central-server ")


def test_it_takes_as_many_descriptors_as_it_may(tmp_path: Path) -> None:
    limits = "(256, resource.getrlimit(resource.RLIMIT_NOFILE)[1])"
    lines = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, {limits})\n"
    lines += "from central_server.__main__ import tune; tune(); print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    said = subprocess.check_output([sys.executable, "-c", lines], cwd=Path(__file__).parents[2], text=True).split()
    assert said[0] == said[1]
