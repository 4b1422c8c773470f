"""What a connection may be waiting for, and for how long. Pure: no sockets, no clock."""

import enum
import math

from pserver.http.limits import Limits

# How long a refused client may go on sending what nobody reads, so that it gets to read why (RFC 9112, 9.6).
LINGER_SECONDS = 2.0


class Phase(enum.Enum):
    """What a connection is waiting for."""

    IDLE = "a request"
    HEADER = "the rest of the headers"
    BODY = "the rest of the body"
    WORKING = "the application"
    SENDING = "the reader"
    LINGERING = "a refused client to leave"


WAITING_FOR_CLIENT = frozenset({Phase.IDLE, Phase.HEADER, Phase.BODY, Phase.LINGERING})


def allowed_seconds(phase: Phase, limits: Limits) -> float:
    """How long it may last. The application is never hurried."""
    allowed = {
        Phase.IDLE: limits.idle_seconds,
        Phase.HEADER: limits.header_seconds,
        Phase.BODY: limits.body_seconds,
        Phase.SENDING: limits.stall_seconds,
        Phase.LINGERING: LINGER_SECONDS,
    }
    return allowed.get(phase, math.inf)
