"""An operator's eyes on real processes: ready or not, metrics, and one upload followed through the logs of all."""

import json
import re
from typing import Any

import pytest
import requests

from demo.processes import Server, wait_for
from tests.end_to_end.conftest import Person, World
from tests.end_to_end.test_main_job import make_file

MIB = 1 << 20
EYES = {"PSERVER_METRICS_LISTEN": "127.0.0.1:0", "PSERVER_LOG_LEVEL": "debug"}


def metrics(server: Server) -> dict[str, float]:
    found = re.findall(r"metrics on (http://\S+/metrics)", server.log)
    lines = requests.get(found[-1], timeout=10).text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def lines_about(server: Server, what: str) -> list[str]:
    return [line for line in server.log.splitlines() if what in line]


def wait_until_ready(peer: Server) -> None:
    wait_for(f"{peer.folder.name} is ready", lambda: ready(peer) == (200, []))


def ready(peer: Server) -> tuple[int, Any]:
    answer = requests.get(f"{peer.addresses['peer']}/readyz", timeout=10)
    return answer.status_code, answer.json()["not_ready"]


@pytest.mark.long
def test_an_upload_is_followed_from_peer_to_peer_and_counted(empty_world: World) -> None:
    world = empty_world
    world.locator.settings |= {"LOCATOR_METRICS_LISTEN": "127.0.0.1:0", "LOCATOR_LOG_LEVEL": "debug"}
    world.locator.start()
    a, b = (world.peer(name, start=False) for name in "ab")
    make_file(a.share / "some.bin", 3 * MIB)
    for peer in (a, b):
        peer.settings |= EYES
        peer.start()
    for peer in (a, b):
        wait_until_ready(peer)
    person = Person(a)
    wait_for("b is there", lambda: len(person.ask("GET", "/peers")["peers"]) == 2)
    wait_for("the file is indexed", lambda: person.ask("GET", "/files")["files"])
    upload = person.ask("POST", "/uploads", expect=202, json={"name": "some.bin", "to": ["b"], "replicas": None})
    assert person.ended(upload["id"])["state"] == "done"

    followed = f"[request_id upload-{upload['id']}]"
    assert any("offers: 202" in line for line in lines_about(b, followed))
    assert any("incoming of" in line for line in lines_about(b, followed))
    assert any("/peer/v1/files/" in line for line in lines_about(a, followed)), "b asks a for pieces with that id"
    assert any("running -> done" in line for line in lines_about(b, followed))

    seen = metrics(b)
    assert seen["p2p_peer_received_bytes_total"] >= 3 * MIB and seen["p2p_peer_pieces_verified_total"] == 12
    assert seen["p2p_peer_pieces_bad_total"] == 0 and seen['p2p_peer_transfers{kind="incoming",state="done"}'] == 1
    assert seen["p2p_peer_registered"] == seen["p2p_peer_reachable"] == seen["p2p_peer_share_ok"] == 1
    assert metrics(a)['p2p_peer_http_sent_bytes_total{api="peer"}'] >= 3 * MIB
    assert metrics(a)['p2p_peer_transfers{kind="upload",state="done"}'] == 1
    assert metrics(world.locator)['p2p_locator_rpcs_total{method="Register",status="OK"}'] >= 2
    wait_for("the locator counts its members", lambda: metrics(world.locator)["p2p_locator_members"] == 2)

    assert json.loads(b.client("doctor", "--json").stdout)["healthy"]
    world.locator.stop()
    wait_for("a is not ready", lambda: ready(a) == (503, ["locator"]))
    examined = a.client("doctor")
    assert examined.returncode == 1 and f"fail\tlocator\t{world.locator.address}" in examined.stdout
