"""Which pieces of a file are wanted, reserved by requests, or there: sets of pieces as masks. Pure; for plan.py.

A piece that a request was made for, or may bring, is reserved until the request has brought it, has ended, or lets it
go. A piece may be reserved by more than one request.
"""

from pserver.exchange.bitfield import first_of, mask_of_flags, pieces_of


class Board:
    """`there`: flags of the pieces that are there already."""

    def __init__(self, there: bytes | bytearray) -> None:
        self.count = len(there)
        self._all = (1 << self.count) - 1
        self._there = mask_of_flags(there)
        self._once = 0  # reserved by one request or more
        self._twice: dict[int, int] = {}  # reserved by more than one, and by how many

    @property
    def left(self) -> int:
        """How many pieces are not there."""
        return self.count - self._there.bit_count()

    @property
    def wanted(self) -> int:
        """The pieces that are neither there nor reserved."""
        return self._all & ~(self._there | self._once)

    @property
    def there(self) -> int:
        """The pieces that are there."""
        return self._there

    def is_there(self, piece: int) -> bool:
        """Whether that piece is there."""
        return bool(self._there >> piece & 1)

    def wanted_of(self, has: int | None) -> int:
        """Those of the wanted that are in `has` (None: all)."""
        return self.wanted if has is None else self.wanted & has

    def run(self, first: int, most: int, has: int | None) -> range:
        """At most `most` consecutive wanted pieces of `has` from `first`, which is one."""
        ahead = self.wanted_of(has) >> first
        end = first_of(~ahead)
        return range(first, first + min(most, most if end is None else end))

    def reserve(self, mask: int) -> None:
        """A request was made for these."""
        for piece in pieces_of(mask & self._once):
            self._twice[piece] = self._twice.get(piece, 1) + 1
        self._once |= mask

    def release(self, mask: int) -> None:
        """A request no longer has these."""
        if self._twice:
            for piece in [piece for piece in self._twice if mask >> piece & 1]:
                mask &= ~(1 << piece)
                self._twice[piece] -= 1
                if self._twice[piece] < 2:
                    del self._twice[piece]
        self._once &= ~mask

    def reserved_twice(self, piece: int) -> bool:
        """Whether more than one request may bring it."""
        return piece in self._twice

    def add(self, piece: int) -> bool:
        """The piece is there from now on; whether that is news."""
        news = not self.is_there(piece)
        self._there |= 1 << piece
        return news
