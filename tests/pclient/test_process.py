"""The real program in a process: streams, exit codes, signals, terminals."""

import json
import os
import pty
import select
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pclient.conftest import Process
from tests.pclient.fake_people import FakePeople
from tests.pclient.fake_pserver import FakePServer


def test_version_loads_nothing_heavy(process: Process) -> None:
    ended = process.run("--version")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "pclient 0.1.0\n", "")
    code = "import sys; sys.argv[1:] = ['--version']; from pclient.__main__ import main; main(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], env=process.environ, text=True, capture_output=True)
    assert not {"click", "requests", "rich", "prompt_toolkit", "typing", "json"} & set(loaded.stdout.split())


def test_data_on_stdout_talk_on_stderr(process: Process) -> None:
    ended = process.run("download", "same.txt")
    assert ended.returncode == 0
    assert ended.stdout.startswith("same.txt\t4\t")
    assert "same.txt means 2 different things" in ended.stderr
    assert json.loads(process.run("--json", "search", "report").stdout)["complete"] is True
    assert json.loads(process.run("search", "report", "--json").stdout)["complete"] is True


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["peers"], 0),
        (["remove", "nowhere"], 3),
        (["bogus"], 2),
        (["--bogus"], 2),
        (["download", "x", "--as"], 2),
        (["info", "bad\udcff"], 2),
        (["--url", "nonsense", "peers"], 2),
        (["--env-file", "nowhere", "peers"], 2),
        (["info", "nowhere"], 3),
        (["--token-file", "nowhere", "peers"], 4),
        (["--url", "http://127.0.0.1:1", "peers"], 5),
        (["--help"], 0),
        (["download", "--help"], 0),
    ],
)
def test_exit_codes(process: Process, arguments: list[str], code: int) -> None:
    ended = process.run(*arguments)
    assert ended.returncode == code, ended.stderr
    assert (ended.stderr == "") == (code == 0)


def test_a_wrong_token_is_refused(process: Process, fake: FakePServer) -> None:
    fake.token = "another"
    assert process.run("peers").returncode == 4


def test_ctrl_c_leaves_the_download_running(process: Process, fake: FakePServer) -> None:
    fake.step_at_look = None
    running = process.start("download", "docs/report.pdf")
    assert running.stderr is not None
    assert running.stderr.readline() == "download docs/report.pdf: running, 0 B of 410.2 KiB\n"
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (130, "")
    assert err.startswith("download 00000001 goes on at the PServer")
    assert "Traceback" not in err
    assert fake.transfers["00000001"]["state"] == "running"


def test_a_reader_that_has_enough_is_left_in_peace(process: Process, fake: FakePServer) -> None:
    fake.share = {f"file {n:05} {'x' * 200}": b"" for n in range(400)}
    running = process.start("files")
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.readline()
    running.stdout.close()
    assert running.wait(timeout=30) == 141
    assert running.stderr.read() == ""
    running.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_at_stdout_is_told(process: Process) -> None:
    with open("/dev/full", "w") as full:
        running = process.start("peers", stdout=full)
        _, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (1, "error: cannot write the output: No space left on device\n")


def test_closed_streams_do_no_harm(process: Process) -> None:
    command = f"{sys.executable} -m pclient peers <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], env=process.environ).returncode == 0


def test_an_old_locale_does_no_harm(process: Process, fake: FakePServer) -> None:
    process.environ |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    ended = process.run("search", "music")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("music/\\u65e5")


def test_debug_shows_where(process: Process, fake: FakePServer) -> None:
    def nonsense(handler: object) -> bool:
        handler.json({})  # type: ignore[attr-defined]  # the fake's handler
        return True

    fake.answer_all = nonsense
    assert process.run("peers").stderr == "error: internal error: KeyError: 'peers' (PCLIENT_DEBUG=1 shows where)\n"
    process.environ["PCLIENT_DEBUG"] = "1"
    running = process.start("peers")
    assert "Traceback" in running.communicate(timeout=30)[1]


def test_a_shell_on_piped_lines(process: Process) -> None:
    ended = process.run(stdin="search report\ninfo nowhere\npeers\n")
    assert ended.returncode == 3
    assert ended.stdout.splitlines()[-1].startswith("dave\t")
    assert "\x1b" not in ended.stdout + ended.stderr


class Terminal:
    """pclient on a terminal of its own."""

    def __init__(self, process: Process, *arguments: str) -> None:
        try:
            self._ours, theirs = pty.openpty()
        except OSError as error:
            pytest.skip(f"this machine has no terminal to give: {error.strerror or error}")
        environ = {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", "PROMPT_TOOLKIT_NO_CPR": "1"}
        process.environ |= environ
        self.running = process.start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.seen = ""
        self._read = 0

    def expect(self, text: str, seconds: float = 30) -> None:
        """Read until `text` was shown after what was expected before."""
        while text not in self.seen[self._read :]:
            ready, _, _ = select.select([self._ours], [], [], seconds)
            assert ready, f"no {text!r} in {self.seen!r}"
            try:
                self.seen += os.read(self._ours, 65536).decode()
            except OSError:
                break
        assert text in self.seen[self._read :], self.seen
        self._read = self.seen.index(text, self._read) + len(text)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def close(self) -> int:
        code = self.running.wait(timeout=30)
        os.close(self._ours)
        return code


def test_without_a_terminal_to_be_had_such_tests_are_skipped(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> tuple[int, int]:
        raise OSError("out of pty devices")

    monkeypatch.setattr(pty, "openpty", refuse)
    with pytest.raises(pytest.skip.Exception, match="out of pty devices"):
        Terminal(process)


def test_on_a_terminal_there_are_colours_and_questions(process: Process, fake: FakePServer) -> None:
    terminal = Terminal(process, "download", "same.txt")
    terminal.expect("Which one? [1-2, Enter for none] ")
    terminal.type("2\n")
    terminal.expect("is done")
    assert terminal.close() == 0
    assert fake.share["same.txt"] == b"two!"
    assert "\x1b[" in terminal.seen


def test_no_color_on_a_terminal(process: Process) -> None:
    process.environ["NO_COLOR"] = "1"
    terminal = Terminal(process, "search", "report")
    terminal.expect("3 files")
    assert terminal.close() == 0
    assert "\x1b" not in terminal.seen


def test_the_shell_on_a_terminal(process: Process, fake: FakePServer) -> None:
    fake.step_at_look = None
    terminal = Terminal(process)
    terminal.expect("alice>")
    terminal.type("downl\t")
    terminal.expect("oad")  # completed
    terminal.type("docs/report.pdf\r")
    terminal.expect("0 B of 410.2 KiB")
    os.kill(terminal.running.pid, signal.SIGINT)
    terminal.expect("To look at it: watch 00000001")
    terminal.expect("alice>")  # from now on keys are the editor's
    fake.step("00000001")
    terminal.type("help\r")
    terminal.expect("[00000001] download of docs/report.pdf is done")
    terminal.expect("alice>")
    terminal.type("\x04")
    assert terminal.close() == 0
    assert "Traceback" not in terminal.seen


def test_a_password_typed_on_a_terminal_is_never_seen(process: Process, people: FakePeople) -> None:
    terminal = Terminal(process, "login", "anna")
    terminal.expect("Password of anna: ")
    terminal.type("anna's secret\n")
    terminal.expect("logged in as anna, until")
    assert terminal.close() == 0
    assert "secret" not in terminal.seen
    assert process.run("whoami").stdout.startswith("anna\tmember\t")


def test_a_password_typed_in_the_shell_is_never_seen_and_not_remembered(process: Process, people: FakePeople) -> None:
    terminal = Terminal(process)
    terminal.expect("pclient>")
    terminal.type("login anna\r")
    terminal.expect("Password of anna: ")
    terminal.type("anna's secret\r")
    terminal.expect("logged in as anna, until")
    terminal.expect("anna@alice>")
    terminal.type("passwd\r")
    terminal.expect("The old password of anna: ")
    os.kill(terminal.running.pid, signal.SIGINT)  # leaves the question, not the shell
    terminal.expect("\r\ninterrupted\r\n")
    terminal.expect("anna@alice>")
    terminal.type("logout\r")
    terminal.expect("anna is logged out")
    terminal.expect("alice>")
    terminal.type("\x04")
    assert terminal.close() == 0
    assert "secret" not in terminal.seen
    history = process.folder / "state" / "pclient" / "history"
    assert "login anna" in history.read_text() and "secret" not in history.read_text()


def test_a_script_logs_in_from_stdin(process: Process, people: FakePeople) -> None:
    assert process.run("peers").returncode == 4
    ended = process.run("login", "anna", "--password-stdin", stdin="anna's secret\r\n")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert process.run("peers").returncode == 0
    kept = list((process.folder / "state" / "pclient" / "sessions").iterdir())
    assert [stat.S_IMODE(one.stat().st_mode) for one in kept] == [0o600]
    kept[0].chmod(0o644)
    ended = process.run("peers")
    assert (ended.returncode, ended.stderr.splitlines()[0][:34]) == (0, "note: other users could read the f")
    piped = process.run(stdin="passwd --password-stdin\nanna's secret\nthe new secret\nwhoami\nlogout\n")
    assert (piped.returncode, piped.stdout[:11]) == (0, "anna\tmember"), piped.stderr
    assert people.passwords["anna"] == "the new secret"
    assert process.run("logout", "--everywhere").returncode == 4
