"""`central-server keygen` and `user`, beside a server that runs."""

import io
import os
import pty
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from central_server.__main__ import main
from central_server.commands import Refused, keygen
from protos import locator_pb2 as pb
from protos.locator_pb2_grpc import AccountsStub
from protos.network_key import weakness
from tests.central_server.peer_double import CALL_SECONDS, PeerDouble
from tests.central_server.test_process import Process, wait_for_channel

GOOD = "correct horse"


class Shell:
    """`central-server WORDS` in this process, which is another one than the server's."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, screen: pytest.CaptureFixture[str]) -> None:
        self._patch, self._screen = patch, screen
        patch.chdir(folder)
        patch.setenv("LOCATOR_STATE_DIR", str(folder / "state"))
        patch.setenv("LOCATOR_ACCOUNTS", "on")

    def __call__(self, *words: str, typed: bytes = b"") -> tuple[int, str, str]:
        """The exit code, stdout and stderr."""
        self._patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed)))
        code = main(words)
        return (code, *self._screen.readouterr())


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path, LOCATOR_ACCOUNTS="on")
    process.start()
    yield process
    process.stop()


def call(channel: grpc.Channel, method: str, request: Any) -> Any:
    """One rpc of Accounts. Any: the stubs are without types."""
    metadata = PeerDouble("ann").metadata("account")
    return getattr(AccountsStub(channel), method)(request, metadata=metadata, timeout=CALL_SECONDS)


def logs_in(channel: grpc.Channel, password: str = GOOD, user: str = "ann") -> Any:
    try:
        return call(channel, "Login", pb.LoginRequest(user=user, password=password))
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        return None


def is_alive(channel: grpc.Channel, session: str) -> bool:
    try:
        return bool(call(channel, "CheckSession", pb.CheckSessionRequest(session=session)).user)
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.NOT_FOUND
        return False


def test_accounts_are_tended_while_the_server_runs(server: Process, shell: Shell) -> None:
    with wait_for_channel(server.port) as channel:
        with pytest.raises(grpc.RpcError, match="user add"):
            call(channel, "Signup", pb.SignupRequest(user="ann", password=GOOD))  # closed unless it was opened
        added = shell("user", "add", "Ann", "--admin", "--password-stdin", typed=f"{GOOD}\n".encode())
        assert added == (0, "ann can log in\n", "")
        begun = logs_in(channel)
        assert begun.role == pb.ROLE_ADMIN and is_alive(channel, begun.session)
        code, said, _ = shell("user", "disable", "ann")
        assert code == 0 and "disabled" in said
        assert not logs_in(channel) and not is_alive(channel, begun.session)
        assert shell("user", "list")[1].split("\t")[:3] == ["ann", "admin", "disabled"]
        assert shell("user", "enable", "ann")[0] == 0
        begun = logs_in(channel)
        code, _, _ = shell("user", "reset", "ann", "--password-stdin", typed=b"battery staple")
        assert code == 0 and not is_alive(channel, begun.session)
        assert not logs_in(channel)
        begun = logs_in(channel, "battery staple")
    # What was answered is kept, also if the server is killed at that moment.
    server.end(signal.SIGKILL)
    server.start()
    with wait_for_channel(server.port) as channel:
        assert is_alive(channel, begun.session)
    server.end()
    assert "battery" not in server.said and GOOD not in server.said and begun.session not in server.said


def test_what_cannot_be_is_said_in_one_line(shell: Shell) -> None:
    for words, typed, told in (
        (("add", "a b", "--password-stdin"), GOOD.encode(), "a user name has"),
        (("add", "ann", "--password-stdin"), b"short\n", "at least 8"),
        (("add", "ann", "--password-stdin"), b"\xff" * 9, "UTF-8"),
        (("add", "ann"), GOOD.encode(), "--password-stdin"),
        (("disable", "nobody"), b"", "no account nobody"),
        (("reset", "nobody", "--password-stdin"), GOOD.encode(), "no account nobody"),
    ):
        code, said, errors = shell("user", *words, typed=typed)
        assert (code, said) == (1, "") and told in errors and errors.count("\n") == 1
        assert GOOD not in errors
    assert shell("user", "list") == (0, "", "")


def test_while_accounts_are_off_that_is_said(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCATOR_ACCOUNTS", "off")
    code, said, hint = shell("user", "add", "ann", "--password-stdin", typed=GOOD.encode())
    assert (code, said) == (0, "ann can log in\n") and "LOCATOR_ACCOUNTS" in hint


@pytest.mark.long
def test_a_person_is_asked_twice_and_nothing_is_shown(tmp_path: Path) -> None:
    for typed, code, told in (
        ("correct horse\ncorrect horse\n", 0, "can log in"),
        ("one one one\ntwo two\n", 1, "differ"),
    ):
        assert _at_a_terminal(tmp_path, typed, "user", "add", "ann") == (code, told)


def _at_a_terminal(folder: Path, typed: str, *words: str) -> tuple[int, str]:
    """The exit code, and the last words on the screen."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.environ.update(
            HOME=str(folder), LOCATOR_STATE_DIR=str(folder / "s"), PYTHONPATH=str(Path(__file__).parents[2])
        )
        os.execv(sys.executable, [sys.executable, "-m", "central_server", *words])
    screen, answers = "", typed.splitlines(keepends=True)
    asked = 0
    while True:
        try:
            screen += os.read(terminal, 1024).decode()
        except OSError:  # the other side closed
            break
        if screen.count(": ") > asked and answers:
            asked = screen.count(": ")
            os.write(terminal, answers.pop(0).encode())
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert not any(line.strip() and line.strip() in screen for line in typed.splitlines())
    words_said = next((word for word in ("can log in", "differ") if word in screen), screen)
    return os.waitstatus_to_exitcode(status), words_said


def test_a_key_is_made_once(tmp_path: Path, shell: Shell) -> None:
    path = tmp_path / "network.key"
    assert shell("keygen", "network.key") == (0, "", "")
    made = path.read_text()
    assert len(bytes.fromhex(made)) == 32 and made.endswith("\n") and weakness(made.strip().encode()) is None
    assert path.stat().st_mode & 0o777 == 0o600
    code, _, said = shell("keygen", "network.key")
    assert code == 1 and "left as it is" in said and said.count("\n") == 1
    assert path.read_text() == made
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused):
        keygen(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(Refused, match="cannot write"):
        keygen(tmp_path / "no" / "folder")
    _, printed, _ = shell("keygen")
    assert len(bytes.fromhex(printed)) == 32 and printed != made
