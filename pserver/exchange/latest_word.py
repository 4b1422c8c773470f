"""Which of a person's words on a file was the last: that this peer shall hold it, or that it shall drop it. Pure.

Both are signed by the locator, with its clock, and good for minutes. On their way one can overtake the other: a peer
that was away finds the order to drop first, and then the offer that was made before. Held then, the file would be
nobody's: the locator has forgotten where it was placed as soon as the order was carried out.

Kept in memory, for as long as a grant can be good.
"""

from protos.grants import Grant
from protos.tokens import LEEWAY_SECONDS, LIFETIME_SECONDS

_KEPT_SECONDS = LIFETIME_SECONDS + 2 * LEEWAY_SECONDS
_LOOK_AT = 1024  # how many are remembered before those of no use any more are looked for


class LatestWords:
    """Not thread-safe. Times are those of the grants."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], float] = {}  # (file id, user): when this was last granted
        self._dropped: dict[tuple[str, str], float] = {}
        self._dropped_by_admin: dict[tuple[str, str], float] = {}

    def holds(self, grant: Grant) -> bool:
        """Whether it still counts: nobody wanted the file gone after it was given. It is then remembered."""
        user = grant.file_id, grant.user
        dropped = max(self._dropped.get(user, 0.0), self._dropped_by_admin.get((grant.file_id, ""), 0.0))
        if grant.issued <= dropped:
            return False
        _remember(self._held, user, grant.issued)
        return True

    def drops(self, order: Grant) -> None:
        """Remember the order."""
        if order.admin:
            _remember(self._dropped_by_admin, (order.file_id, ""), order.issued)
        else:
            _remember(self._dropped, (order.file_id, order.user), order.issued)

    def is_held_since(self, order: Grant, user: str) -> bool:
        """Whether that user placed the file again after the order was given."""
        return self._held.get((order.file_id, user), 0.0) > order.issued


def _remember(words: dict[tuple[str, str], float], key: tuple[str, str], issued: float) -> None:
    words[key] = max(words.get(key, 0.0), issued)
    if len(words) >= _LOOK_AT and min(words.values()) < issued - _KEPT_SECONDS:
        for old in [one for one, when in words.items() if when < issued - _KEPT_SECONDS]:
            del words[old]
