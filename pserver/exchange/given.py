"""What each source gave to a transfer, over all its files: added up, and as it is kept when the transfer has ended.

Pure. It is kept as text: nobody searches it, and it goes with its transfer.
"""

import json
from collections.abc import Iterable
from dataclasses import replace

from pserver.model import Peer
from pserver.views import SourceView

_WORST_LAST = ("ok", "slow", "gone", "banned")


def merged(views: Iterable[SourceView]) -> tuple[SourceView, ...]:
    """Each peer once, with sums and the worst that is known of it; the fastest first, then who gave most."""
    found: dict[str, SourceView] = {}
    for view in views:
        before = found.get(view.peer.peer_id)
        found[view.peer.peer_id] = view if before is None else _both(before, view)
    return tuple(sorted(found.values(), key=lambda view: (-view.rate, -view.bytes)))


def over(view: SourceView) -> SourceView:
    """A source that is no longer read from: no rate, and neither slow nor fast."""
    return replace(view, rate=0.0, state="ok" if view.state == "slow" else view.state)


def to_text(views: Iterable[SourceView]) -> str:
    """As it is kept."""
    return json.dumps(
        [
            [one.peer.peer_id, one.peer.name, one.peer.url, one.state, one.pieces, one.errors, one.why, one.bytes]
            for one in views
        ]
    )


def from_text(text: str) -> tuple[SourceView, ...]:
    """What `to_text` made."""
    return tuple(
        SourceView(Peer(peer_id, name, url), state, 0.0, pieces, errors, why, size)
        for peer_id, name, url, state, pieces, errors, why, size in json.loads(text)
    )


def _both(one: SourceView, other: SourceView) -> SourceView:
    worst = max((one, other), key=lambda view: _WORST_LAST.index(view.state))
    return SourceView(
        one.peer,
        worst.state,
        one.rate + other.rate,
        one.pieces + other.pieces,
        one.errors + other.errors,
        worst.why,
        one.bytes + other.bytes,
    )
