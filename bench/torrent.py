"""libtorrent (PyPI) as a comparator: a seed and leeches, each a process of its own.

`python -m bench.torrent make FILE TORRENT`, `... seed TORRENT FOLDER HOST:PORT` (until its stdin ends) and
`... leech TORRENT FOLDER HOST:PORT`. A leech says "ready", waits for a line with the addresses of its peers, and says
how many seconds it took to have and have verified everything. Peers are told to it, as a tracker would.

It has what is fastest here: TCP without uTP, no limits, SHA-1 (version 1) pieces.
"""

import importlib
import importlib.util
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from bench.lab import Lab
from bench.others import free_port
from bench.rows import CannotRun

_SECONDS = 600
_POLL_SECONDS = 0.01
_SETTINGS = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "allow_multiple_connections_per_ip": True,
    "alert_mask": 0,
}


def need() -> None:
    """CannotRun if it is not installed."""
    if importlib.util.find_spec("libtorrent") is None:
        raise CannotRun("not installed: libtorrent (from PyPI)")


def make(file: Path, torrent: Path) -> None:
    """The torrent of one file."""
    subprocess.run([*_command("make"), str(file), str(torrent)], check=True)


@contextmanager
def seed(torrent: Path, folder: Path, host: str = "127.0.0.1") -> Iterator[str]:
    """A seed of the file in `folder`; its address. In a lab, begin it inside its node."""
    with _process("seed", torrent, folder, f"{host}:{free_port(host)}") as process:
        yield _line(process)


@contextmanager
def leeches(torrent: Path, folder: Path, nodes: Sequence[int], lab: Lab | None = None) -> Iterator["Leeches"]:
    """One for each of these nodes of a lab (or so many here), ready to begin."""
    begun = Leeches()
    try:
        for node in nodes:
            begun.add(torrent, folder / str(node), node, lab)
        begun.await_all()
        yield begun
    finally:
        begun.end()


class Leeches:
    """Leeches of one torrent that begin together."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[str]] = []
        self._addresses: list[str] = []

    def add(self, torrent: Path, folder: Path, node: int, lab: Lab | None) -> None:
        """One more, into that folder."""
        folder.mkdir(parents=True)
        if lab is None:
            address = f"127.0.0.1:{free_port('127.0.0.1')}"
            self._processes.append(_start("leech", torrent, folder, address))
        else:
            address = f"{lab.address(node)}:6881"
            with lab.inside(node):
                self._processes.append(_start("leech", torrent, folder, address))
        self._addresses.append(address)

    def await_all(self) -> None:
        """Until each is ready."""
        for process in self._processes:
            _line(process)

    def run(self, seed: str) -> float:
        """Let all begin, each knowing the seed and the others; the seconds until the last has everything."""
        began = time.perf_counter()
        for process, own in zip(self._processes, self._addresses, strict=True):
            others = [address for address in (seed, *self._addresses) if address != own]
            _pipe(process.stdin).write(" ".join(others) + "\n")
            _pipe(process.stdin).flush()
        for process in self._processes:
            _line(process)
        return time.perf_counter() - began

    def end(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
            process.wait()
            _pipe(process.stdin).close()
            _pipe(process.stdout).close()


@contextmanager
def _process(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    with _start(*arguments) as process:
        try:
            yield process
        finally:
            process.kill()


def _start(*arguments: object) -> subprocess.Popen[str]:
    command = [*_command(str(arguments[0])), *map(str, arguments[1:])]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)


def _command(word: str) -> list[str]:
    return [sys.executable, "-m", "bench.torrent", word]


def _line(process: subprocess.Popen[str]) -> str:
    said = _pipe(process.stdout).readline().strip()
    if not said:
        raise CannotRun("libtorrent's process ended")
    return said


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


# --- what runs in the processes -----------------------------------------------------------------------------------


def _libtorrent() -> Any:  # its stubs know neither the plain dict of settings nor the keywords used here
    return importlib.import_module("libtorrent")


def _make(file: Path, torrent: Path) -> None:
    lt = _libtorrent()
    made = lt.create_torrent(lt.list_files(str(file)), flags=lt.create_torrent.v1_only)
    lt.set_piece_hashes(made, str(file.parent))
    torrent.write_bytes(lt.bencode(made.generate()))


def _add(torrent: Path, folder: Path, address: str, flags: int) -> tuple[Any, Any]:
    lt = _libtorrent()
    session = lt.session(_SETTINGS | {"listen_interfaces": address})
    wanted = lt.add_torrent_params()
    wanted.ti, wanted.save_path = lt.torrent_info(str(torrent)), str(folder)
    wanted.flags = flags
    return session, session.add_torrent(wanted)


def _seed(torrent: Path, folder: Path, address: str) -> None:
    session, handle = _add(torrent, folder, address, _libtorrent().torrent_flags.seed_mode)
    while not handle.status().is_seeding:
        time.sleep(_POLL_SECONDS)
    print(address, flush=True)
    sys.stdin.read()
    del session


def _leech(torrent: Path, folder: Path, address: str) -> None:
    session, handle = _add(torrent, folder, address, 0)
    while str(handle.status().state) != "downloading":
        time.sleep(_POLL_SECONDS)
    print("ready", flush=True)
    peers = sys.stdin.readline().split()
    began = time.perf_counter()
    for peer in peers:
        host, _, port = peer.rpartition(":")
        handle.connect_peer((host, int(port)))
    while not handle.status().is_seeding:
        time.sleep(_POLL_SECONDS)
    print(f"{time.perf_counter() - began:.3f}", flush=True)
    sys.stdin.read()
    del session


def _main(word: str, first: str, second: str, *address: str) -> None:
    if word == "make":
        _make(Path(first), Path(second))
    elif word == "seed":
        _seed(Path(first), Path(second), *address)
    else:
        _leech(Path(first), Path(second), *address)


if __name__ == "__main__":
    _main(*sys.argv[1:])
