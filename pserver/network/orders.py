"""Orders of the locator: what people want dropped that they placed here. Taken, carried out, told to be finished.

An order that cannot be carried out now is not finished, and comes again after the next heartbeat.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from protos.tokens import InvalidToken
from pserver.model import PServerError
from pserver.people import Order

ORDER_SECONDS = 5.0
_STOP_SECONDS = 2.0
_log = logging.getLogger(__name__)


class OrderLocator(Protocol):
    """What orders need of an AccountClient."""

    def take_orders(self, timeout: float) -> list[Order]:
        """Those that wait; none if there are no more."""

    def finish_orders(self, order_ids: Sequence[bytes], timeout: float) -> None:
        """They are not to be sent again."""


class Orders:
    """Takes orders in a thread of its own, between `start` and `stop`, whenever `wake` says that some wait.

    `locators()`: in the order in which they are to be asked. `carry_out(grant)` may take long and be repeated; it
    raises InvalidToken if the locator may not order that, and PServerError if it cannot be done now.
    """

    def __init__(self, locators: Callable[[], Sequence[OrderLocator]], carry_out: Callable[[str], object]) -> None:
        self._locators = locators
        self._carry_out = carry_out
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._told: set[bytes] = set()  # which orders could not be carried out, in this round or the last
        self._thread = threading.Thread(target=self._run, name="orders", daemon=True)

    def wake(self) -> None:
        """There are orders. Returns at once."""
        self._wake.set()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the order that is being carried out."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def round(self) -> None:
        """Carry out what waits at the locator that answers first. Raises what it raises."""
        locator, taken = next(iter(self._locators()), None), set[bytes]()
        while locator is not None and not self._stopped.is_set():
            orders = locator.take_orders(ORDER_SECONDS)
            taken.update(order.order_id for order in orders)
            finished = [order.order_id for order in orders if not self._stopped.is_set() and self._done(order)]
            if not finished:
                break
            locator.finish_orders(finished, ORDER_SECONDS)
        self._told &= taken

    def _done(self, order: Order) -> bool:
        try:
            self._carry_out(order.grant)
            return True
        except InvalidToken as error:
            why = f"is not valid, and not carried out: {error}"
        except PServerError as error:
            why = f"cannot be carried out now: {error}"
        level = logging.DEBUG if order.order_id in self._told else logging.WARNING  # it comes with each heartbeat
        self._told.add(order.order_id)
        _log.log(level, "an order of the locator %s", why)
        return False

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stopped.is_set():
                return
            try:
                self.round()
            except PServerError as error:
                _log.info("orders are taken after the next heartbeat: %s", error)
            except Exception:
                _log.exception("orders go on after an unexpected failure")
