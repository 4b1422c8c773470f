"""How a request to a source failed, for the plan: our errors are many, what it decides by is few."""

from pserver.exchange.sources import Failure
from pserver.model import Conflict, NotFound, PServerError, Refused
from pserver.remote.peer_http import LacksPiece, PeerBusy, PeerLied, PeerStalled

# The first class that fits; every other error counts as "dead".
_FAILURES: tuple[tuple[type[PServerError], Failure], ...] = (
    (PeerLied, "lied"),
    (PeerStalled, "stalled"),
    (PeerBusy, "busy"),
    (LacksPiece, "lacks"),
    (NotFound, "gone"),
    (Conflict, "changed"),
    (Refused, "refused"),
)


def failure_of(error: PServerError) -> Failure:
    """What to tell the plan of that error."""
    return next((failure for kind, failure in _FAILURES if isinstance(error, kind)), "dead")
