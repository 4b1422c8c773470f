"""A Docker engine with Compose for tests: this machine's own, or one that the lab's scripts start."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.processes import DidNotHappen, wait_for
from tests.deploy.machine import lab, run

_LAB_BASE = "python:3.13-slim"  # what the lab's engine has; it has no registry


class NoEngine(Exception):
    """There is none, and the message says why."""


@contextmanager
def engine() -> Iterator[dict[str, str]]:
    """What must be in the environment to use it. One that was started for this is stopped at the end. NoEngine."""
    for environment in ({}, _of_lab()):
        if _answers(environment):
            yield environment
            return
    if os.geteuid() != 0 or not (lab() / "docker-up.sh").is_file():
        raise NoEngine(f"needs a Docker engine with Compose: `docker info` fails, and no lab in {lab()} can start one")
    wait_for("apt lets the lab's engine be made", _started, 120)
    try:
        yield _of_lab()
    finally:
        run("bash", str(lab() / "docker-down.sh"))


def _started() -> bool:
    """Start the lab's engine; False if another program is at its packages just now."""
    try:
        run("bash", str(lab() / "docker-up.sh"), seconds=300)
    except DidNotHappen as error:
        if "Could not get lock" not in str(error):
            raise
        return False
    return True


def _answers(environment: dict[str, str]) -> bool:
    """Whether an engine answers there that knows Compose."""
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        try:
            subprocess.run(command, env=os.environ | environment, capture_output=True, check=True, timeout=30)
        except (OSError, subprocess.SubprocessError):
            return False
    return True


def _of_lab() -> dict[str, str]:
    """What the lab's `env.sh` sets, and its base image."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    file = Path(os.environ.get("LAB") or Path(cache) / "p2plab") / "env.sh"
    if not file.is_file() or shutil.which("bash") is None:
        return {}
    printed = run("bash", "-c", f'. "{file}"; printf "%s\\n" "$PATH" "$DOCKER_CONFIG" "$DOCKER_HOST"').splitlines()
    return dict(zip(("PATH", "DOCKER_CONFIG", "DOCKER_HOST"), printed, strict=True)) | {"BASE_IMAGE": _LAB_BASE}
