"""Sixteen readers of one PServer at once: what they get together, and how soon it still answers /healthz.

`python -m bench.many_readers` prints the rows. The readers are connections of one curl on loopback, with a valid
token, that throw the bytes away: what is measured is the serving side, and not how sixteen processes share the cores.
/healthz is asked a hundred times a second, beside one reader too. Beside the sixteen an nginx that does nothing else is
asked for a file of two bytes as well: what of the wait is the machine's.
"""

import http.client
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import others
from bench.folders import memory_folder, random_file
from bench.ours import NETWORK_KEY, Network, wait_until_found
from bench.rows import QUICK_RUNS, RUNS, Row, at_least, at_most, in_turn, main, medians, spread
from protos.tokens import Issuer

READERS = 16
FULL_BYTES = 1 << 30
QUICK_BYTES = 256 << 20
OF_ONE = 0.9
TIMES_IDLE = 5.0
IDLE_SECONDS = 3.0
_PAUSE_SECONDS = 0.01  # without such a pause the questions themselves would take a third of a core of two
_FILE, _TINY = "large.bin", "tiny"


def run(quick: bool = False) -> list[Row]:
    """One reader, sixteen readers, and an idle peer, in turn."""
    others.need("curl", "nginx")
    size, runs = (QUICK_BYTES, QUICK_RUNS) if quick else (FULL_BYTES, RUNS)
    with memory_folder(size * 3 // 2) as folder, _Contest.in_folder(folder, size) as contest:
        turns = {"idle": contest.idle, "one": contest.one, "sixteen": contest.sixteen}
        beside = {"nginx idle": contest.nginx_idle, "nginx beside": contest.nginx_beside}
        measured = in_turn(runs, turns | beside)
    return _rows(measured | {"busy": contest.busy_ms}, size)


class _Contest:
    """A serving peer, its file, and a token to read it."""

    def __init__(self, folder: Path, size: int, network: Network, stack: ExitStack) -> None:
        self._folder, self._size = folder, size
        self.busy_ms: list[float] = []
        file = random_file(folder / "share" / _FILE, size)
        (folder / "site").mkdir()
        (folder / "site" / _TINY).write_text("ok")
        nginx = stack.enter_context(others.nginx(folder / "site", folder / "nginx"))
        source = network.peer("source", share=file.parent)
        self._url = source.peer.addresses["peer"]
        self._health_of = {"ours": (_host(self._url), "/healthz"), "nginx": (_host(nginx), f"/{_TINY}")}
        self._file_id = wait_until_found(source, _FILE, ["source"])
        self._peer_id = source.ask("GET", "/client/v1/status")["peer"]["peer_id"]
        self._issuer = Issuer(Ed25519PrivateKey.generate(), NETWORK_KEY.encode())

    @classmethod
    @contextmanager
    def in_folder(cls, folder: Path, size: int) -> Iterator["_Contest"]:
        """With the peer running."""
        with Network(folder) as network, ExitStack() as stack:
            yield cls(folder, size, network, stack)

    def idle(self) -> float:
        """The 99th percentile of /healthz in milliseconds while nothing else is asked."""
        return self._idle("ours")

    def nginx_idle(self) -> float:
        """The same of a small file from nginx."""
        return self._idle("nginx")

    def nginx_beside(self) -> float:
        """The same while sixteen read from the peer."""
        return self._beside("nginx", READERS, READERS)[1]

    def one(self) -> float:
        """GB/s of one reader, with the same questions beside it."""
        return self._beside("ours", 1, READERS // 4)[0]

    def sixteen(self) -> float:
        """GB/s of sixteen readers together; `busy_ms` gets the 99th percentile of /healthz meanwhile."""
        rate, busy_ms = self._beside("ours", READERS, READERS)
        self.busy_ms.append(busy_ms)
        return rate

    def _idle(self, whose: str) -> float:
        ends = time.monotonic() + IDLE_SECONDS
        return self._health(whose, lambda: time.monotonic() < ends)

    def _beside(self, whose: str, readers: int, times: int) -> tuple[float, float]:
        """GB/s of so many readers that read so many times in all, and the 99th percentile that was asked meanwhile."""
        rates: list[float] = []
        thread = threading.Thread(target=lambda: rates.append(self._read(readers, times)))
        thread.start()
        busy_ms = self._health(whose, thread.is_alive)
        thread.join()
        return rates[0], busy_ms

    def _read(self, at_once: int, times: int) -> float:
        url = f"{self._url}/peer/v1/files/{self._file_id}"
        token = self._issuer.token(self._peer_id, "file", time.time(), self._file_id)
        taken = others.curl_often(url, f"Authorization: Bearer {token}", times, at_once, self._folder)
        return times * self._size / taken / 1e9

    def _health(self, whose: str, goes_on: Callable[[], bool]) -> float:
        host, path = self._health_of[whose]
        connection = http.client.HTTPConnection(host, timeout=60)
        times: list[float] = []
        while goes_on() or len(times) < 2:
            began = time.perf_counter()
            connection.request("GET", path)
            connection.getresponse().read()
            times.append(time.perf_counter() - began)
            time.sleep(_PAUSE_SECONDS)
        connection.close()
        return sorted(times)[int(0.99 * len(times))] * 1000


def _host(url: str) -> str:
    return url.removeprefix("http://")


def _rows(measured: dict[str, list[float]], size: int) -> list[Row]:
    found, nginx = medians(measured), "  a small file from an idle nginx, 99th percentile"
    what = f"{READERS} readers of {size >> 20} MiB at once from one PServer"
    return [
        Row(f"{what}: together", found["sixteen"], "GB/s", note=spread(measured["sixteen"], "GB/s")),
        Row("  one reader", found["one"], "GB/s", note=spread(measured["one"], "GB/s")),
        at_least("  sixteen over one", found["sixteen"] / found["one"], "x", OF_ONE),
        Row("  /healthz of an idle PServer, 99th percentile", found["idle"], "ms", note=spread(measured["idle"], "ms")),
        Row("  /healthz meanwhile, 99th percentile", found["busy"], "ms", note=spread(measured["busy"], "ms")),
        at_most("  /healthz meanwhile over idle", found["busy"] / found["idle"], "x", TIMES_IDLE),
        Row(nginx, found["nginx idle"], "ms", note=spread(measured["nginx idle"], "ms")),
        Row(
            "  the same beside those readers", found["nginx beside"], "ms", note=spread(measured["nginx beside"], "ms")
        ),
        Row("  the same beside those readers over idle", found["nginx beside"] / found["nginx idle"], "x"),
    ]


if __name__ == "__main__":
    sys.exit(main(run, __doc__))
