"""A thousand clients that hold connections to one peer API: how soon /healthz answers others, against an idle peer.

`python -m bench.hostile` prints the rows. 256 each are silent, send half a header, drip a body, and do not read a file
that they asked for; who is thrown out comes back. /healthz is asked on a connection of its own each time.
"""

import http.client
import resource
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.folders import memory_folder, random_file
from bench.ours import NETWORK_KEY, Network, wait_until_found
from bench.rows import Row, at_most, main
from bench.slow_clients import EACH, crowd_at, kinds, pressing
from demo.processes import wait_for
from protos.tokens import Issuer

FILE_BYTES = 64 << 20
SECONDS, QUICK_SECONDS = 20.0, 5.0
MOST_MS = 250.0
_FILE = "large.bin"
_ADDRESSES = [f"127.0.1.{last}" for last in range(1, 65)]
_PAUSE_SECONDS = 0.005


def run(quick: bool = False) -> list[Row]:
    """The idle peer, and the same peer with the crowd at it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    seconds = QUICK_SECONDS if quick else SECONDS
    with memory_folder(FILE_BYTES * 2) as folder, Network(folder) as network:
        address, asked = _serving(network, folder)
        idle = _health_ms(address, seconds)
        with crowd_at(address, kinds(asked), _ADDRESSES) as crowd, pressing(crowd):
            wait_for("the crowd is there", lambda: crowd.opened >= 4 * EACH, 120)
            busy = _health_ms(address, seconds)
    what = f"{4 * EACH} hostile connections at one PServer"
    return [
        Row("/healthz of an idle PServer, 99th percentile", idle, "ms"),
        at_most(f"{what}: /healthz, 99th percentile", busy, "ms", MOST_MS),
        Row("  over idle", busy / idle, "x"),
    ]


def _serving(network: Network, folder: Path) -> tuple[tuple[str, int], bytes]:
    """Where the peer API is, and a request for its file."""
    file = random_file(folder / "share" / _FILE, FILE_BYTES)
    source = network.peer("source", share=file.parent)
    file_id = wait_until_found(source, _FILE, ["source"])
    peer_id = source.ask("GET", "/client/v1/status")["peer"]["peer_id"]
    token = Issuer(Ed25519PrivateKey.generate(), NETWORK_KEY.encode()).token(peer_id, "file", time.time(), file_id)
    host, _, port = source.peer.addresses["peer"].removeprefix("http://").rpartition(":")
    asked = f"GET /peer/v1/files/{file_id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    return (host, int(port)), asked.encode()


def _health_ms(address: tuple[str, int], seconds: float) -> float:
    """The 99th percentile of a new connection's answer in milliseconds."""
    times: list[float] = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends or len(times) < 2:
        began = time.perf_counter()
        connection = http.client.HTTPConnection(*address, timeout=60)
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        connection.close()
        times.append(time.perf_counter() - began)
        time.sleep(_PAUSE_SECONDS)
    return sorted(times)[int(0.99 * len(times))] * 1000


if __name__ == "__main__":
    sys.exit(main(run, __doc__))
