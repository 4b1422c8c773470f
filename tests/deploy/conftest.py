"""Three machines with the suite installed from a clean checkout: a locator and a peer on the first, a peer on each."""

import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from demo.processes import wait_for
from tests.deploy.checkout import check_out
from tests.deploy.machine import Machine, machines, why_not

KEY = secrets.token_hex(32)


@dataclass
class Fleet:
    """The machines; `peers` are their units, in the same order."""

    machines: list[Machine]

    def __getitem__(self, number: int) -> Machine:
        return self.machines[number]

    def unit(self, number: int) -> str:
        """The peer's service on that machine."""
        return f"pserver@peer{number + 1}.service"

    def all_see_all(self, seconds: float = 60) -> None:
        """Wait until each peer finds all of them, by the locator."""
        names = {f"peer{number + 1}" for number in range(len(self.machines))}
        for machine in self.machines:
            wait_for(f"{machine.name} sees {names}", partial(_sees, machine, names), seconds)


def _sees(machine: Machine, names: set[str]) -> bool:
    try:
        found: Any = json.loads(machine.person("--json", "peers"))  # whatever it prints
    except AssertionError:  # its peer is starting
        return False
    peers = found["peers"] if isinstance(found, dict) else found
    return names <= {one["peer"]["name"] for one in peers}


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """All of them running and in touch; a test leaves them so."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with machines(3) as made:
        check_out(made[0].outside / "checkout")
        made[0].boot()
        made[0].run("make", "-C", "/lab/checkout", "install", online=True, seconds=300)
        for other in made[1:]:
            for part in ("opt", "usr", "etc/p2p"):
                shutil.copytree(made[0].root / part, other.root / part, symlinks=True)
            other.boot()
        for number, machine in enumerate(made, 1):
            _settle(machine, f"peer{number}", made[0].address)
        made[0].sh("echo LOCATOR_LISTEN=0.0.0.0:51015 > /etc/p2p/central-server.env")
        made[0].start("central-server", enable=True)
        for number, machine in enumerate(made, 1):
            machine.start(f"pserver@peer{number}", enable=True)
        found = Fleet(made)
        found.all_see_all()
        yield found


def _settle(machine: Machine, name: str, locator: str) -> None:
    settings = f"PSERVER_NAME={name}\nPSERVER_LISTEN=0.0.0.0:8001\nPSERVER_LOCATORS={locator}:51015\n"
    machine.sh(
        f"printf %s '{settings}' > /etc/p2p/{name}.env\n"
        f"umask 077; printf %s {KEY} > /etc/p2p/network.key\n"
        "useradd --create-home --groups p2p alice; useradd --create-home bob"
    )
