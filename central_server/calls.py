"""One call of an rpc as the services see it, and one line of the table of all rpcs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls (a peer id) and from where (an IP address, or what gRPC calls it), when (the rules' time), and how
    many seconds the answer may take."""

    peer_id: bytes
    address: str
    now: float
    seconds: float


class Method(NamedTuple):
    """An rpc: the scope that its token needs, its request, and the service's method that answers."""

    scope: str
    request: type[Message]
    answer: Callable[..., Awaitable[Message]]
