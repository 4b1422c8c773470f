"""How many pieces of one file a peer sends at once."""

import contextlib
import io

import pytest

from pserver.exchange.asks import PlanLimits
from pserver.exchange.proofs import Proofs
from pserver.exchange.serving import Sent, Serving
from pserver.model import Unavailable
from pserver.pieces import Want

FILE, PIECES = b"f" * 32, 400
EVERYTHING = Want(0, b"\xff" * (PIECES // 8), 1, None)


class Nothing(io.BytesIO):
    """A file that is being sent and never changes."""

    def still_same(self) -> bool:
        return True


def serving() -> Serving:
    return Serving(lambda: 0.0, Proofs(lambda _peer, _seconds: None, lambda: 0.0, lambda _work: None))


def send(one: Serving, asker: str) -> Sent:
    assert one.give(FILE, PIECES, None, EVERYTHING, asker) is not None
    return one.sending(FILE, Nothing())


def most_sent(one: Serving, askers: int) -> list[Sent]:
    """What is being sent to so many askers, that ask in turn until one is refused."""
    sent: list[Sent] = []
    for number in range(askers):
        one.give(FILE, PIECES, None, EVERYTHING, f"asker {number}")  # and leave
    with contextlib.suppress(Unavailable):
        for turn in range(PIECES):
            sent.append(send(one, f"asker {turn % askers}"))
    return sent


def test_whoever_comes_when_enough_are_being_sent_is_told_to_ask_another() -> None:
    one = serving()
    sent = most_sent(one, 100)
    with pytest.raises(Unavailable, match="has to wait"):
        send(one, "late")
    assert one.give(b"g" * 32, PIECES, None, EVERYTHING, "late") is not None, "of another file it is not too many"
    sent[0].close()
    send(one, "late")


def test_in_a_crowd_a_peer_sends_as_much_at_once_as_each_asks_for_and_to_few_askers_more() -> None:
    assert len(most_sent(serving(), 100)) == PlanLimits().sources
    assert len(most_sent(serving(), 8)) > 2 * PlanLimits().sources
