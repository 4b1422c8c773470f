"""Which address others are told, and that it follows the machine."""

import threading
from collections.abc import Mapping

import pytest

from pserver.model import Peer
from pserver.running.here import Here, Lookout
from pserver.running.outward import find_outward_address, outward_address, own_interfaces, route_from

LOCATOR = "locator.example:51015"
WORLD = "192.0.2.1"
INTERFACES = [
    ("lo", "127.0.0.1"),
    ("docker0", "172.17.0.1"),
    ("br-0123456789ab", "172.18.0.1"),
    ("virbr0", "192.168.122.1"),
    ("eth0", "10.0.0.7"),
    ("lo", "::1"),
    ("eth0", "fe80::1"),
]


def chosen(routes: Mapping[str, str], interfaces: list[tuple[str, str]] = INTERFACES) -> str | None:
    return outward_address([LOCATOR], lambda host, _port: routes.get(host), interfaces)


def test_it_is_the_address_towards_the_locator() -> None:
    assert chosen({"locator.example": "10.9.0.1", WORLD: "10.0.0.7"}) == "10.9.0.1"


@pytest.mark.parametrize(
    "towards_locator", ["127.0.0.1", "::1", "172.17.0.1", "172.18.0.1", "192.168.122.1", "fe80::1"]
)
def test_never_loopback_nor_a_bridge_to_containers(towards_locator: str) -> None:
    assert chosen({"locator.example": towards_locator, WORLD: "203.0.113.5"}) == "203.0.113.5"


def test_without_a_way_to_the_world_it_is_the_first_that_is_left() -> None:
    assert chosen({"locator.example": "127.0.0.1"}) == "10.0.0.7"
    assert chosen({}) == "10.0.0.7"


def test_a_container_has_the_address_of_its_own_interface() -> None:
    assert chosen({"locator.example": "172.18.0.5"}, [("lo", "127.0.0.1"), ("eth0", "172.18.0.5")]) == "172.18.0.5"


def test_there_may_be_none() -> None:
    assert chosen({"locator.example": "127.0.0.1", WORLD: "172.17.0.1"}, INTERFACES[:4]) is None


def test_this_machine_answers() -> None:
    assert ("lo", "127.0.0.1") in own_interfaces()
    assert route_from("127.0.0.1", 9) == "127.0.0.1"
    assert route_from("no-such-host.invalid", 9) is None
    assert not (find_outward_address(["127.0.0.1:9"]) or "").startswith("127.")


def test_it_moves_with_the_machine() -> None:
    urls: list[str | None] = ["http://10.0.0.8:8001", None]
    here = Here(Peer("ab" * 32, "ann", "http://10.0.0.7:8001"), lambda: urls[0])
    assert here().url == "http://10.0.0.7:8001"
    assert here.look() and here().url == "http://10.0.0.8:8001"
    assert not here.look()
    urls.pop(0)  # the network is away
    assert not here.look() and here().url == "http://10.0.0.8:8001"


def test_whoever_must_know_is_told_and_a_failure_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    answers = iter(["", "http://10.0.0.8:8001"])
    moved = threading.Event()

    def find() -> str:
        answer = next(answers, "http://10.0.0.8:8001")
        if answer == "":
            raise OSError("no network")
        return answer

    lookout = Lookout(Here(Peer("ab" * 32, "ann", "http://10.0.0.7:8001"), find), moved.set, seconds=0.01)
    lookout.start()
    assert moved.wait(10)
    lookout.stop()
    assert "unexpected failure" in caplog.text
