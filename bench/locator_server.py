"""A locator process for benchmarks: the real server, and beside it an empty method without a token.

`python -m bench.locator_server STORE` says its port on stdout and stops when its stdin closes. Peers are not dialled
back: they are made up.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.locator_index import FOREVER
from central_server.__main__ import tune
from central_server.locator import Locator, Terms
from central_server.rpc import Service
from central_server.server import Server
from central_server.store_sqlite import SQLiteStore
from protos.tokens import LOCATOR_AUDIENCE, Issuer, Verifier

EMPTY = "/bench.Empty/Empty"


async def _reachable(_peer_id: bytes, _url: str) -> str | None:
    return None


async def _empty(_body: bytes, _context: Any) -> bytes:  # Any: grpc publishes no types for it
    return b""


async def serve(path: Path) -> None:
    """Serve until stdin ends."""
    store = SQLiteStore(path, FOREVER)
    locator = Locator(store, _reachable, Terms(3600.0, 0.0, 10_000_000), time.time())
    locator_id = Issuer(Ed25519PrivateKey.generate(), None).peer_id
    server = Server(Service(locator, locator_id), Verifier(LOCATOR_AUDIENCE, None), time.time)
    handlers = {"Empty": grpc.unary_unary_rpc_method_handler(_empty)}
    # The same server object, so that both methods pay for the same machinery.
    server._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("bench.Empty", handlers)])
    print(await server.start("127.0.0.1", 0), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0.0)
    await store.close()


if __name__ == "__main__":
    tune()
    asyncio.run(serve(Path(sys.argv[1])))
