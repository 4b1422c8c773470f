"""A process full of simulated peers, told what to do on stdin, a line of JSON for each line of its own.

`python -m bench.fleet_driver LOCATOR FIRST COUNT FILES CHANGE_SECONDS KEY_FILE`. Each line on stdin is a moment of the
monotonic clock (which processes of one machine share); the answer says how many peers renewed their lease since and
how many the locator is in step with. Ends with its stdin.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import jwt

from bench.fleet_peer import SimulatedPeer


class Pongs:
    """The HTTP server that answers the locator's dial-back for all of them: the token says whom it asks for."""

    def __init__(self, peers: Mapping[str, SimulatedPeer]) -> None:
        self._peers = peers

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        body = json.dumps({"proof": self._proof(head)}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def _proof(self, head: str) -> str:
        target, *lines = head.split("\r\n")
        [nonce] = parse_qs(urlsplit(target.split(" ")[1]).query)["nonce"]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        token = headers["authorization"].removeprefix("Bearer ")
        said = jwt.decode(token, options={"verify_signature": False})  # who asks is not what is measured
        return self._peers[said["aud"]].issuer.token(said["iss"], f"pong:{nonce}", time.time())


async def drive(arguments: Sequence[str]) -> None:
    """All of it."""
    locator, first, count, files, seconds, key_file = arguments
    peers: dict[str, SimulatedPeer] = {}
    server = await asyncio.start_server(Pongs(peers).answer, "127.0.0.1", 0, backlog=1024)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    key = Path(key_file).read_text().strip().encode()
    for number in range(int(first), int(first) + int(count)):
        peer = SimulatedPeer(number, locator, url, int(files), key)
        peers[peer.issuer.peer_id] = peer
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(peer.run()) for peer in peers.values()]
        running += [tasks.create_task(peer.change(float(seconds))) for peer in peers.values()]
        await _report(list(peers.values()))
        for task in running:
            task.cancel()
    server.close()
    for peer in peers.values():
        await peer.close()


async def _report(peers: Sequence[SimulatedPeer]) -> None:
    """Answer each line."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        since = float(line)
        calls: Counter[str] = Counter()
        for peer in peers:
            calls += peer.calls
        renewed = sum(peer.renewed > since for peer in peers)
        whole = sum(peer.renewed > since and peer.in_step for peer in peers)
        print(json.dumps({"renewed": renewed, "in_step": whole, "calls": dict(calls)}), flush=True)


if __name__ == "__main__":
    asyncio.run(drive(sys.argv[1:]))
