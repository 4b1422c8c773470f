"""Starts, watches, kills and stops the suite's real processes. Everything lies in one folder."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

_T = TypeVar("_T")
_LISTENING = {
    "central_server": re.compile(r"listening on (?P<locator>\S+:\d+)"),
    "pserver": re.compile(r"peer API on (?P<peer>http://\S+:\d+), client API on (?P<client>http://\S+:\d+)"),
}


class DidNotHappen(AssertionError):
    """Something that was waited for did not come about in time."""


def wait_for(what: str, condition: Callable[[], _T | None], seconds: float = 20.0) -> _T:
    """The first true thing that `condition` returns; DidNotHappen after that many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise DidNotHappen(f"after {seconds:g} s still not: {what} (last seen: {found!r})")
        time.sleep(0.02)


def free_port(owner: object) -> int:
    """A free loopback port, nobody else's for as long as `owner` lives, below those of outgoing connections.

    One of these would be gone when a server that was killed starts again, as soon as any process has connected from it.
    It is held by an abstract Unix socket of its number, which is in no server's way and which the kernel gives to one
    process alone: many tests run at once, each with servers that have not begun to listen, or are down for a moment.
    """
    while True:
        port = random.randrange(20_000, 32_768)
        held = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            try:
                held.bind(f"\0p2p-suite-port-{port}")
                probe.bind(("127.0.0.1", port))
            except OSError:
                held.close()
                continue
        weakref.finalize(owner, held.close)
        return port


@dataclass
class Server:
    """One process of the suite: `python -m MODULE` with settings of its own, its log in a file."""

    module: str
    folder: Path
    settings: dict[str, str]
    addresses: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    prefix: tuple[str, ...] = ()  # of its command: where to run it, such as `ip netns exec NAME`

    @property
    def log(self) -> str:
        """All that it has logged, over its restarts."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def launch(self) -> None:
        """Start the process, without waiting for it to listen."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "log", "ab") as log:
            self._logged_before = log.tell()
            self.process = _spawn([*self.prefix, sys.executable, "-m", self.module], self.settings, log)

    def start(self) -> None:
        """Start it and wait until it listens; DidNotHappen, with its log, if it does not."""
        self.launch()
        self.addresses = wait_for(f"{self.module} listens; its log:\n{self.log}", self._listening)

    def _listening(self) -> dict[str, str] | None:
        if not self.running:
            raise DidNotHappen(f"{self.module} ended at its start; its log:\n{self.log}")
        with open(self.folder / "log", "rb") as log:
            log.seek(self._logged_before)
            found = _LISTENING[self.module].search(log.read().decode(errors="replace"))
        return found.groupdict() if found else None

    def stop(self, seconds: float = 15.0) -> int:
        """Ask it to end (SIGTERM) and return its exit status; kills it if it does not."""
        return self._end(signal.SIGTERM, seconds)

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL, 5)

    def _end(self, how: signal.Signals, seconds: float) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGCONT)  # a stopped process cannot end
        self.process.send_signal(how)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise DidNotHappen(f"{self.module} did not end within {seconds:g} s; its log:\n{self.log}") from None

    def freeze(self) -> None:
        """SIGSTOP: it lives, its ports are open, and it answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


class Locator(Server):
    """The central server, on a free loopback port that it keeps over restarts."""

    def __init__(self, folder: Path, **settings: str) -> None:
        base = {
            "LOCATOR_LISTEN": f"127.0.0.1:{free_port(self)}",
            "LOCATOR_STORE": f"sqlite:///{folder / 'locator.sqlite'}",
            "LOCATOR_STATE_DIR": str(folder),
            "LOCATOR_LOG_FORMAT": "text",
        }
        super().__init__("central_server", folder, base | settings)

    @property
    def address(self) -> str:
        """host:port of its gRPC."""
        return self.addresses["locator"]

    def command(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run `central-server` with these arguments and its own settings, with `given` on its stdin."""
        return subprocess.run(
            [sys.executable, "-m", self.module, *arguments],
            env=environment(self.settings),
            capture_output=True,
            text=True,
            timeout=60,
            input=given,
            check=False,
        )

    def start(self) -> None:
        super().start()
        self.settings["LOCATOR_LISTEN"] = self.address

    def forget(self) -> None:
        """Delete its index, as a lost disk would (stop it first)."""
        for path in self.folder.glob("locator.sqlite*"):
            path.unlink()


class Peer(Server):
    """A PServer, on free loopback ports that it keeps over restarts."""

    def __init__(self, folder: Path, name: str, locators: str, **settings: str) -> None:
        base = {
            "PSERVER_NAME": name,
            "PSERVER_LISTEN": f"127.0.0.1:{free_port(self)}",
            "PSERVER_CLIENT_LISTEN": f"127.0.0.1:{free_port(self)}",
            "PSERVER_LOCATORS": locators,
            "PSERVER_SHARE_DIR": str(folder / "share"),
            "PSERVER_STATE_DIR": str(folder / "state"),
            "PSERVER_LOG_FORMAT": "text",
        }
        super().__init__("pserver", folder, base | settings)
        self.name = name
        self.share.mkdir(parents=True, exist_ok=True)

    @property
    def share(self) -> Path:
        """Its share folder."""
        return Path(self.settings["PSERVER_SHARE_DIR"])

    def start(self) -> None:
        super().start()
        self.settings["PSERVER_LISTEN"] = self.addresses["peer"].removeprefix("http://")
        self.settings["PSERVER_CLIENT_LISTEN"] = self.addresses["client"].removeprefix("http://")

    def client_environment(self) -> dict[str, str]:
        """What `pclient` needs to talk to this peer."""
        return {
            "PCLIENT_PSERVER_URL": self.addresses["client"],
            "PCLIENT_TOKEN_FILE": str(Path(self.settings["PSERVER_STATE_DIR"]) / "client-token"),
            "XDG_STATE_HOME": str(self.folder / "client"),
        }

    def client(self, *arguments: str, seconds: float = 60, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run `pclient` with these arguments, off a terminal, with `given` on its stdin."""
        return subprocess.run(
            [sys.executable, "-m", "pclient", *arguments],
            env=environment(self.client_environment()),
            capture_output=True,
            text=True,
            timeout=seconds,
            input=given,
            check=False,
        )


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without settings of the suite, and with those."""
    ours = ("LOCATOR_", "PSERVER_", "PCLIENT_")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | dict(settings)


def _spawn(command: list[str], settings: Mapping[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env=environment(settings) | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a Ctrl-C in the demo's terminal is the demo's to handle
    )
