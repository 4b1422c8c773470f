"""A client in this process, and real ones in processes of their own, before a fake PServer on a port of its own."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pclient import failures
from pclient.api import Api
from pclient.client import Client
from pclient.commands import Options, Start, pclient
from pclient.credentials import Credentials
from pclient.sessions import SessionFile
from pclient.shell import Shell
from pclient.talk import Talk
from pclient.wire import Wire
from tests.pclient.fake_http import Running
from tests.pclient.fake_people import FakePeople
from tests.pclient.fake_pserver import TOKEN, FakePServer, samples


class Stream(io.StringIO):
    """A stream that says it is a terminal, or not."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@dataclass
class Clock:
    """Time that passes only by waiting; at each wait the next of `events` happens."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)
    events: list[Callable[[], object]] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        assert len(self.waits) < 1000, "waits for ever"
        if self.events:
            self.events.pop(0)()


def interrupt() -> None:
    raise KeyboardInterrupt


def credentials(url: str, folder: Path, read_token: Callable[[], str] = lambda: TOKEN) -> Credentials:
    """Those of a client that keeps its session below `folder`."""
    return Credentials(SessionFile(folder / "sessions", url), read_token, lambda _line: None)


class Desk:
    """A client in this process, with what it said. `answers` are given to questions, also to those for a password."""

    def __init__(self, url: str, folder: Path, terminal: bool, answers: Sequence[str] | None, width: int = 80) -> None:
        self.out, self.err = Stream(terminal), Stream(terminal)
        self.clock = Clock()
        self.questions: list[str] = []
        self.prompts: list[str] = []
        self._answers = list(answers or [])
        environ = {"COLUMNS": str(width), "TERM": "xterm"}
        self.stdin = Stream(terminal)
        asks = () if answers is None else (self._answer, self._answer_unseen)
        talk = Talk(self.out, self.err, environ, *asks)
        proofs = credentials(url, folder)
        proofs.warn = talk.warn
        api = Api(Wire(url, proofs))
        self.client = Client(api, proofs, talk, self.stdin, folder / "history", lambda: self.clock.now, self.clock.wait)

    def _answer(self, question: str) -> str:
        self.questions.append(question)
        if not self._answers:
            raise EOFError
        return self._answers.pop(0)

    def _answer_unseen(self, question: str) -> str:
        return self._answer(f"(unseen) {question}")

    def give(self, *lines: str) -> None:
        """What stdin is to give from now on."""
        self.stdin.seek(0), self.stdin.truncate()
        self.stdin.write("".join(f"{line}\n" for line in lines)), self.stdin.seek(0)

    def run(self, *arguments: str) -> int:
        """Run a command; the exit code."""
        self.out.seek(0), self.out.truncate()
        self.err.seek(0), self.err.truncate()

        def opened(options: Options) -> Client:
            self.client.talk.as_json = options.as_json
            return self.client

        start = Start(opened, lambda _client: 0)
        result = CliRunner().invoke(pclient, list(arguments), obj=start, standalone_mode=False)
        return 0 if result.exception is None else failures.tell(result.exception, self.client.talk, debug=False)

    def json(self, *arguments: str, code: int = 0) -> Any:
        """The JSON value of a command."""
        assert self.run(*arguments, "--json") == code, self.said
        return json.loads(self.out.getvalue())

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.getvalue().splitlines()]

    @property
    def said(self) -> str:
        return self.err.getvalue()

    def shell(self, *lines: str | type[BaseException]) -> int:
        """Run the shell on these lines; an exception class among them is raised instead of a line."""
        left = list(lines)

        def read(prompt: str) -> str:
            self.prompts.append(prompt)
            line = left.pop(0) if left else EOFError
            if isinstance(line, str):
                return line
            raise line

        return Shell(self.client, read).run()


@pytest.fixture
def fake() -> FakePServer:
    return FakePServer(remotes=samples())


@pytest.fixture
def people(fake: FakePServer) -> FakePeople:
    """The fake's locator has accounts on: anna's, and an admin's."""
    fake.people = FakePeople({"anna": "anna's secret", "root": "root's secret"}, {"root"})
    return fake.people


@pytest.fixture
def url(fake: FakePServer) -> Iterator[str]:
    running = Running(fake)
    yield running.url
    running.stop()


@pytest.fixture
def desk(url: str, tmp_path: Path) -> Desk:
    """Off a terminal: nobody to ask."""
    return Desk(url, tmp_path, terminal=False, answers=None)


@pytest.fixture
def seat(url: str, tmp_path: Path) -> Callable[..., Desk]:
    """On a terminal, with the answers a person will give."""

    def made(*answers: str, width: int = 80) -> Desk:
        return Desk(url, tmp_path, terminal=True, answers=answers, width=width)

    return made


class Process:
    """The real pclient in a process, in its own empty folder."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []
        token = folder / "client-token"
        token.write_text(TOKEN + "\n")
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        self.environ = {
            **kept,
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "PCLIENT_PSERVER_URL": url,
            "PCLIENT_TOKEN_FILE": str(token),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PYTHONWARNINGS": "error",
            "LC_ALL": "C.UTF-8",
        }

    def start(self, *arguments: str, **more: Any) -> "subprocess.Popen[str]":
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        command = [sys.executable, "-m", "pclient", *arguments]
        self.started.append(subprocess.Popen(command, env=self.environ, cwd=self.folder, text=True, **streams))
        return self.started[-1]

    def stop(self) -> None:
        """End what a failed test has left."""
        for one in self.started:
            with one:
                one.kill()

    def run(self, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "pclient", *arguments]
        ended = subprocess.run(
            command, env=self.environ, cwd=self.folder, text=True, input=stdin, capture_output=True, timeout=60
        )
        assert "Traceback" not in ended.stderr
        return ended


@pytest.fixture
def process(url: str, tmp_path: Path) -> Iterator[Process]:
    # Tests run in the background of a script ignore Ctrl-C, and the processes they start would too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    made = Process(url, tmp_path)
    yield made
    made.stop()
    signal.signal(signal.SIGINT, before)
