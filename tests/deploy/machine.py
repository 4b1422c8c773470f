"""Machines for tests: a real systemd each, over a throw-away layer of this machine's root, on a shaped bridge.

They are made by the scripts of a lab folder (`systemd-up.sh` and its companions). Where there is none, or no root, the
tests are skipped.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from demo.processes import DidNotHappen, wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
_MEMORY = Path("/dev/shm")  # an overlay's upper layer must not be on the file system of its lower one

# What a real machine has, and the lab's throw-away one has not: a disk that keeps what is enabled, and mounts that
# services see (systemd leaves that to whoever starts it in a container; credentials are mounted).
_LIKE_A_MACHINE = (
    (
        'mount -t tmpfs -o mode=755 tmpfs "$R/etc/systemd/system"',
        'mkdir -p "$D/enabled"; mount --bind "$D/enabled" "$R/etc/systemd/system"',
    ),
    ("do ln -s /dev/null", "do ln -sf /dev/null"),
    ("umount -l /.old; exec", "umount -l /.old; mount --make-rshared /; exec"),
)


def why_not() -> str | None:
    """Why there can be no machines here, if so."""
    if os.geteuid() != 0:
        return "needs root: it boots machines in namespaces"
    if not (lab() / "systemd-up.sh").is_file():
        return f"needs the lab's scripts, and there are none in {lab()} (P2P_LAB names another folder)"
    missing = [one for one in ("ip", "tc", "nsenter", "systemctl") if shutil.which(one) is None]
    return f"needs {', '.join(missing)}" if missing else None


def lab() -> Path:
    """Where the lab's scripts are."""
    return Path(os.environ.get("P2P_LAB") or ROOT.parent / "shared" / "lab")


def run(*command: str, seconds: float = 120, more: Mapping[str, str] = {}) -> str:
    """What the command prints; DidNotHappen, with all it said, if it fails. `more`: for its environment."""
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, check=False, env=os.environ | dict(more)
    )
    if ended.returncode != 0:
        raise DidNotHappen(f"{' '.join(command)}: exit {ended.returncode}\n{ended.stdout}\n{ended.stderr}")
    return ended.stdout


class Machine:
    """One machine. Its disk is a folder, which stays when the power goes; what lies `outside` it sees as /lab."""

    def __init__(self, name: str, folder: Path, namespace: str, address: str) -> None:
        self.name = name
        self.address = address
        self.disk = folder / name
        self.outside = folder / "units"
        self._environment = {"LAB": str(folder), "UPPER": str(self.disk), "NETNS": namespace}
        self._up = folder / "up.sh"
        self.root.mkdir(parents=True)

    @property
    def root(self) -> Path:
        """What is on its disk beside what all machines have. Write there only while it is off."""
        return self.disk / "up"

    def boot(self) -> None:
        """Power on, and wait until systemd has started all."""
        run("bash", str(self._up), self.name, more=self._environment)

    def lose_power(self) -> None:
        """Everything in it ends at once, unasked."""
        os.kill(self._pid(), signal.SIGKILL)
        wait_for(f"{self.name} is dead", lambda: not Path(f"/proc/{self._pid()}/cwd").exists())
        self.shut_down()

    def shut_down(self) -> None:
        """Power off in good order; nothing if it is off."""
        subprocess.run(
            ["bash", str(lab() / "systemd-down.sh"), self.name],
            env=os.environ | self._environment,
            capture_output=True,
            check=False,
        )

    def run(self, *command: str, online: bool = False, seconds: float = 120) -> str:
        """Run a command inside, as root; what it prints. `online`: with the network of this machine."""
        flags = ["-n", self.name, *(["-H"] if online else [])]
        return run("sh", str(lab() / "systemd-in.sh"), *flags, *command, seconds=seconds, more=self._environment)

    def sh(self, script: str, *, online: bool = False) -> str:
        """As `run`, of a shell script."""
        return self.run("sh", "-ec", script, online=online)

    def start(self, *units: str, enable: bool = False) -> None:
        """Start them, from now on at each boot too if so asked; DidNotHappen with their journals if they do not."""
        try:
            self.run("systemctl", *(["enable", "--now"] if enable else ["restart"]), *units)
        except DidNotHappen as error:
            raise DidNotHappen(f"{error}\n" + "\n".join(self.log(unit) for unit in units)) from None

    def person(self, *words: str) -> str:
        """What `pclient` answers to alice, who is in the group p2p."""
        return self.run("runuser", "-u", "alice", "--", "pclient", *words)

    def show(self, unit: str, what: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--property", what, "--value", unit).strip()

    def log(self, unit: str) -> str:
        """What its journal has of a unit, of this boot."""
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")

    def _pid(self) -> int:
        return int((Path(self._environment["LAB"]) / f"sd-{self.name}" / "pid").read_text())


@contextmanager
def machines(count: int, rate: str = "1gbit") -> Iterator[list[Machine]]:
    """That many machines, off, on one bridge, each link bounded to `rate`. All is removed at the end."""
    mark = f"p2pd{os.getpid()}"
    folder = Path(tempfile.mkdtemp(prefix=f"{mark}-", dir=_MEMORY))
    (folder / "units").mkdir()
    (folder / "up.sh").write_text(_boot_script())
    made = [Machine(f"{mark}-{one}", folder, f"{mark}-{one}", f"10.78.0.{one}") for one in range(1, count + 1)]
    try:
        _wire(mark, made, rate)
        yield made
    finally:
        for one in made:
            one.shut_down()
        for name in [path.name for path in Path("/run/netns").glob(f"{mark}-*")]:
            subprocess.run(["ip", "netns", "delete", name], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _boot_script() -> str:
    text = (lab() / "systemd-up.sh").read_text()
    for throw_away, real in _LIKE_A_MACHINE:
        assert throw_away in text, f"the lab's systemd-up.sh has changed: no {throw_away!r} in it"
        text = text.replace(throw_away, real)
    return text


def _wire(mark: str, made: Sequence[Machine], rate: str) -> None:
    """A bridge in a namespace of its own, and each machine's link to it, shaped in both directions."""
    switch = f"{mark}-switch"
    run("ip", "netns", "add", switch)
    run("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
    run("ip", "-n", switch, "link", "set", "bridge", "up")
    for number, machine in enumerate(made, 1):
        name, port = machine.name, f"v{number}"
        run("ip", "netns", "add", name)
        run("ip", "-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "-n", switch, "link", "set", port, "master", "bridge", "up")
        run("ip", "-n", name, "address", "add", f"{machine.address}/24", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")
        for where, device in ((name, "eth0"), (switch, port)):
            run("tc", "-n", where, "qdisc", "add", "dev", device, "root", "handle", "1:", "htb", "default", "1")
            bounds = f"rate {rate} ceil {rate} burst 256k cburst 256k quantum 15140".split()
            run("tc", "-n", where, "class", "add", "dev", device, "parent", "1:", "classid", "1:1", "htb", *bounds)
