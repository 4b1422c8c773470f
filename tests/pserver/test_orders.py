"""Orders of the locator: taken, carried out, and told to be finished."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from demo.processes import wait_for
from protos.tokens import InvalidToken
from pserver.model import Unavailable
from pserver.network.orders import Orders
from pserver.people import Order

AT_ONCE = 2


@dataclass
class FakeOrders:
    """A locator that sends two at a time, until they are finished."""

    waiting: dict[bytes, str] = field(default_factory=dict)
    fails: Unavailable | None = None
    taken: int = 0

    def take_orders(self, timeout: float) -> list[Order]:
        self.taken += 1
        if self.fails is not None:
            raise self.fails
        return [Order(order_id, grant) for order_id, grant in self.waiting.items()][:AT_ONCE]

    def finish_orders(self, order_ids: Sequence[bytes], timeout: float) -> None:
        for order_id in order_ids:
            self.waiting.pop(order_id, None)


class Doing:
    """Carries orders out, but for those that it is told to fail at."""

    def __init__(self, **fails: Exception) -> None:
        self.done: list[str] = []
        self.fails = fails

    def __call__(self, grant: str) -> None:
        if grant in self.fails:
            raise self.fails[grant]
        self.done.append(grant)


def test_all_that_wait_are_carried_out_and_finished() -> None:
    locator, doing = FakeOrders({bytes([number]): f"g{number}" for number in range(5)}), Doing()
    Orders(lambda: [locator], doing).round()
    assert doing.done == ["g0", "g1", "g2", "g3", "g4"] and not locator.waiting


def test_one_that_cannot_be_carried_out_now_comes_again() -> None:
    locator = FakeOrders({b"a": "a", b"b": "b", b"c": "c"})
    doing = Doing(a=Unavailable("the share is away"))
    orders = Orders(lambda: [locator], doing)
    orders.round()
    assert doing.done == ["b", "c"] and list(locator.waiting) == [b"a"]
    doing.fails.clear()
    orders.round()
    assert doing.done == ["b", "c", "a"] and not locator.waiting


def test_one_that_is_not_valid_is_not_carried_out_nor_finished() -> None:
    locator, doing = FakeOrders({b"a": "a", b"b": "b"}), Doing(a=InvalidToken("not of this locator"))
    Orders(lambda: [locator], doing).round()
    assert doing.done == ["b"] and list(locator.waiting) == [b"a"]


def test_one_that_stays_invalid_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    locator = FakeOrders({b"a": "a", b"b": "b"})
    orders = Orders(lambda: [locator], Doing(a=InvalidToken("the clock is wrong")))
    for _ in range(3):
        orders.round()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    locator.waiting = {b"c": "a"}
    orders.round()
    assert len(caplog.records) == 2, "another one is told"


def test_without_a_locator_there_are_none() -> None:
    Orders(list, Doing()).round()


def test_the_thread_waits_to_be_woken_and_survives_a_locator_that_is_away() -> None:
    locator, doing = FakeOrders({b"a": "a"}, fails=Unavailable("away")), Doing()
    orders = Orders(lambda: [locator], doing)
    orders.start()
    assert not locator.taken
    orders.wake()
    wait_for("they are asked for", lambda: locator.taken)
    locator.fails = None
    orders.wake()
    wait_for("they are carried out", lambda: not locator.waiting)
    orders.stop()
    orders.wake()
    assert doing.done == ["a"]


def test_an_unexpected_failure_does_not_end_them(caplog: pytest.LogCaptureFixture) -> None:
    locator, doing = FakeOrders({b"a": "a"}), Doing(a=KeyError("a bug"))
    orders = Orders(lambda: [locator], doing)
    orders.start()
    orders.wake()
    wait_for("it is logged", lambda: "unexpected" in caplog.text)
    doing.fails.clear()
    orders.wake()
    wait_for("they go on", lambda: not locator.waiting)
    orders.stop()
