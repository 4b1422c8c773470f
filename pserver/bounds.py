"""What this peer lets others take of it, as settings: connections, requests, sizes, offers, the room of the share."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

_T = TypeVar("_T")
MOST_BODY_BYTES = 512 << 10  # a lookup of 256 names of full length, escaped: no honest request is larger


@dataclass(frozen=True, slots=True)
class Bounds:
    """`quota`: bytes that the share may have in all, None: as many as the disk has. Header and body in bytes.

    `requests`: those of the peer API that are worked on or wait for it. `offers`: in work or waiting, of all peers.
    """

    connections: int
    connections_per_address: int
    requests: int
    header_bytes: int
    body_bytes: int
    offers: int
    offers_per_peer: int
    quota: int | None


class Read(Protocol):
    """How a setting is read: its name, its default, and what makes a value of its text (ValueError: it is wrong)."""

    def __call__(self, name: str, default: str, parse: Callable[[str], _T], /) -> _T: ...


def read_bounds(read: Read, size: Callable[[str], int]) -> Bounds:
    """The bounds, checked. `size` makes bytes of texts like 10M."""

    def between(least: int, most: int) -> Callable[[str], int]:
        return lambda text: _within(size(text), least, most)

    return Bounds(
        connections=read("PSERVER_MAX_CONNECTIONS", "512", _count),
        connections_per_address=read("PSERVER_MAX_CONNECTIONS_PER_ADDRESS", "384", _count),
        requests=read("PSERVER_MAX_REQUESTS", "256", _count),
        header_bytes=read("PSERVER_MAX_HEADER", "32K", between(16 << 10, 256 << 10)),
        body_bytes=read("PSERVER_MAX_BODY", "512K", between(16 << 10, MOST_BODY_BYTES)),
        offers=read("PSERVER_MAX_OFFERS", "256", _count),
        offers_per_peer=read("PSERVER_MAX_OFFERS_PER_PEER", "32", _count),
        quota=read("PSERVER_QUOTA", "", lambda text: size(text) if text else None),
    )


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
        raise ValueError("should be a number from 1 to 999999")
    return int(text)


def _within(value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise ValueError(f"should be {least >> 10}K to {most >> 10}K")
    return value
