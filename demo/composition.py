"""The Compose cluster: started, asked, broken and mended with `docker compose`, as a person would."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from demo.processes import DidNotHappen

PEERS = ("peer1", "peer2", "peer3", "peer4")
_KILL = "kill -9 $(cat /proc/1/task/1/children)"  # what init, as process 1, has started; and it ends with it


class Composition:
    """The project `name` of the Compose files in `root`/docker. `settings`: its environment, beside this process's."""

    def __init__(
        self, root: Path, name: str, settings: Mapping[str, str], files: Sequence[str] = ("compose.yml",)
    ) -> None:
        self.root = root
        self.name = name
        self.files = list(files)
        self.settings = dict(settings)
        self._environment = os.environ | dict(settings)

    def __call__(self, *words: str, seconds: float = 300) -> str:
        """What `docker compose …` prints; DidNotHappen, with all that it said, if it fails."""
        ended = self.run(*words, seconds=seconds)
        if ended.returncode != 0:
            raise DidNotHappen(f"docker compose {' '.join(words)}: exit {ended.returncode}\n{_said(ended)}")
        return ended.stdout.decode(errors="replace")

    def run(
        self, *words: str, given: IO[bytes] | None = None, output: IO[bytes] | None = None, seconds: float = 300
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `docker compose …`, with that file on its stdin; its stdout goes into `output`, or is returned."""
        chosen = [word for file in self.files for word in ("--file", f"docker/{file}")]
        return self._run(["docker", "compose", "--project-name", self.name, *chosen, *words], given, output, seconds)

    def docker(self, *words: str) -> str:
        """What `docker …` prints; DidNotHappen if it fails."""
        ended = self._run(["docker", *words], None, None, 120)
        if ended.returncode != 0:
            raise DidNotHappen(f"docker {' '.join(words)}: exit {ended.returncode}\n{_said(ended)}")
        return ended.stdout.decode()

    def _run(
        self, command: list[str], given: IO[bytes] | None, output: IO[bytes] | None, seconds: float
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command,
            stdin=given or subprocess.DEVNULL,
            stdout=output or subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.root,
            env=self._environment,
            timeout=seconds,
            check=False,
        )

    def make_secrets(self, *words: str) -> None:
        """As `docker/setup.sh …`."""
        ended = self._run(["docker/setup.sh", *words], None, None, 60)
        if ended.returncode != 0:
            raise DidNotHappen(f"docker/setup.sh: exit {ended.returncode}\n{_said(ended)}")

    def client(self, peer: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        """`pclient …` in the container of that peer, off a terminal."""
        return self.run("exec", "-T", peer, "pclient", *words)

    def ask(self, peer: str, *words: str) -> Any:
        """What a command of pclient says in JSON (Any: it is as the command makes it); None if it fails."""
        ended = self.client(peer, "--json", *words)
        return json.loads(ended.stdout) if ended.returncode == 0 else None

    def put(self, peer: str, source: Path, path: str) -> None:
        """Write that file to `path` in the peer's container, as the peer's own user."""
        write = 'mkdir -p "$(dirname "$1")" && cat >"$1"'
        with source.open("rb") as given:
            ended = self.run("exec", "-T", peer, "sh", "-c", write, "-", path, given=given)
        if ended.returncode != 0:
            raise DidNotHappen(f"cannot write {path} at {peer}: {_said(ended)}")

    def get(self, peer: str, path: str, target: Path) -> None:
        """Copy what the peer's container has at `path` to `target`."""
        with target.open("wb") as output:
            ended = self.run("exec", "-T", peer, "cat", path, output=output)
        if ended.returncode != 0:
            raise DidNotHappen(f"cannot read {path} at {peer}: {_said(ended)}")

    def has(self, peer: str, path: str) -> bool:
        """Whether there is a file at `path` in the peer's container."""
        return self.run("exec", "-T", peer, "test", "-f", path).returncode == 0

    def crash(self, service: str) -> None:
        """kill -9 of its process, from inside, so that Docker restarts it. (What `kill` ends stays so.)"""
        self.run("exec", "-T", service, "sh", "-c", _KILL)

    def inspect(self, service: str, what: str) -> str:
        """A field of the service's container, as a Go template."""
        found = self("ps", "--all", "--quiet", service).split()
        return self.docker("inspect", "--format", what, *found).strip()

    def healthy(self, service: str) -> bool:
        """Whether its health check passes."""
        return self.inspect(service, "{{.State.Health.Status}}") == "healthy"

    def cut(self, service: str, network: str = "default") -> None:
        """Take its container from the network; its connections get no answers any more."""
        self.docker("network", "disconnect", f"{self.name}_{network}", self.inspect(service, "{{.Id}}"))

    def join(self, service: str, network: str = "default") -> None:
        """Put its container into the network, under the service's name, which Docker does not do by itself."""
        container = self.inspect(service, "{{.Id}}")
        self.docker("network", "connect", "--alias", service, f"{self.name}_{network}", container)


def _said(ended: subprocess.CompletedProcess[bytes]) -> str:
    return ((ended.stdout or b"") + (ended.stderr or b"")).decode(errors="replace")[-4000:]
