"""How many pieces of one file a peer sends at once."""

import io

import pytest

from pserver.exchange.asks import PlanLimits
from pserver.exchange.proofs import Proofs
from pserver.exchange.serving import _MOST_SENT, Sent, Serving
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


def test_whoever_comes_when_enough_are_being_sent_is_told_to_ask_another() -> None:
    one = serving()
    sent = [send(one, f"asker {number}") for number in range(_MOST_SENT)]
    with pytest.raises(Unavailable, match="has to wait"):
        send(one, "late")
    assert one.give(b"g" * 32, PIECES, None, EVERYTHING, "late") is not None, "of another file it is not too many"
    sent[0].close()
    send(one, "late")


def test_in_a_crowd_no_asker_has_more_requests_in_flight_than_a_peer_sends_at_once() -> None:
    assert PlanLimits().sources <= _MOST_SENT
