"""What a download tells the others that fetch the same file, and hears from them.

Each request to choose carries which pieces are here, each answer which are there. Who the others are is asked now and
then, of one source after another: soon and often while there is a crowd, oftener yet by one that knows too few to ask,
and ever less often where there is none.
"""

import functools
import random
from collections.abc import Callable, Collection, Iterable

from pserver.exchange.asks import Ask
from pserver.exchange.bitfield import first_of, from_mask, pack, run_mask, to_mask
from pserver.exchange.engine import Engine
from pserver.exchange.partial import Partial
from pserver.exchange.sources import Source
from pserver.model import Peer, PServerError
from pserver.pieces import Manifest, Want
from pserver.remote.peer_http import decode_bitfield
from pserver.remote.reading import RangeReader

_FIRST_SECONDS = 0.1
_LEAST_PIECES = 32  # of a file with fewer nothing is asked before that time: it may be here by then
_CROWD_SECONDS = 0.4
_HUNGRY_SECONDS = 0.15  # in a crowd, of one that does not know enough whom to ask
_LONGEST_SECONDS = 5.0
_PROMISED_SECONDS = 10.0  # for so long at most it waits for others that it was promised news of
Found = Callable[[Peer, int], None]  # a peer that fetches the file too, and its pieces (a mask)


class News:
    """Of one file that is being downloaded into `partial`. `due` and `heard` are called by one thread at a time."""

    def __init__(self, engine: Engine, file_id: bytes, partial: Partial) -> None:
        self._engine = engine
        self._file_id = file_id
        self._partial = partial
        self._count = partial.manifest.piece_count
        self._chance = random.Random()  # noqa: S311 - of no secret
        self._wait = _FIRST_SECONDS
        self._asking = False
        self.at_once = engine.own is not None and self._count >= _LEAST_PIECES
        self._began = engine.clock()
        self.due_at = self._began + (0 if self.at_once else _FIRST_SECONDS)

    def due(self, sources: Iterable[Source], now: float) -> str | None:
        """The source (its key) to ask now, if it is time. One that is busy can tell all the same.

        Any of them: in a crowd that asked the whole ones first these would do nothing but tell.
        """
        if self._asking or now < self.due_at or self._engine.own is None:
            return None
        usable = [one for one in sources if one.usable and (one.not_before <= now or not one.failures)]
        if not usable:
            self.due_at = now + self._wait
            return None
        self._asking, self.due_at = True, now + _LONGEST_SECONDS
        return self._chance.choice(usable).key

    def ask(self, source: Peer, known: Collection[str], found: Found) -> tuple[list[tuple[Peer, int]], bool]:
        """Who else fetches the file from that source, and their pieces (masks); and those of the source itself.

        Of peers that are not `known` (their ids) `found` is told later, in another thread, once the address told for
        them is proved. True: there will be more to hear soon.
        """
        engine = self._engine
        assert engine.own is not None
        own = engine.own()
        heard: list[tuple[Peer, int]] = []
        later = False
        try:
            news = engine.peers.swarm(source, self._file_id, own, pack(self._partial.flags))
            heard.append((source, (1 << self._count) - 1 if news.has is None else to_mask(news.has, self._count)))
            now = engine.clock()
            later = news.more and now < self._began + _PROMISED_SECONDS
            for peer, packed in news.others:
                if peer.peer_id == own.peer_id or engine.bans.banned(peer.peer_id, now):
                    continue
                has = to_mask(packed, self._count)
                if peer.peer_id in known or engine.proofs.proved(peer):
                    heard.append((peer, has))
                else:
                    later |= engine.proofs.look_into(peer, functools.partial(found, peer, has))
        except (PServerError, ValueError):
            pass  # it is asked for pieces all the same, and judged by these
        return heard, later

    def heard(self, now: float, *, crowded: bool, hungry: bool) -> None:
        """The answer came. `crowded`: others fetch the file too. `hungry`: too few requests are in flight."""
        in_crowd = _HUNGRY_SECONDS if hungry else _CROWD_SECONDS
        self._wait = in_crowd if crowded else min(self._wait * 3, _LONGEST_SECONDS)
        self._asking, self.due_at = False, now + self._wait * (0.75 + self._chance.random() / 2)

    def want(self, choices: int, most: int) -> Want:
        """What a request says that lets the source choose of these up to `most` in a row."""
        first = first_of(choices) or 0
        first -= first % 8
        shifted = choices >> first
        packed = from_mask(shifted, -(-shifted.bit_length() // 8) * 8)
        return Want(first, packed, most, pack(self._partial.flags))


def chosen_run(ask: Ask, body: RangeReader, manifest: Manifest) -> tuple[range, int | None]:
    """The pieces that a source has chosen to send, and all that it has (a mask; None: all).

    ValueError, saying what it sent, if it may not have chosen these, or says what cannot be.
    """
    size, end = manifest.piece_size, body.offset + body.length
    run = range(body.offset // size, -(-end // size))
    whole = run.start * size == body.offset and end in (run.stop * size, manifest.size)
    if not whole or len(run) > ask.most or run_mask(run.start, run.stop) & ~ask.choices:
        raise ValueError("other pieces than those that were wanted")
    if body.bitfield is None:
        return run, None
    try:
        return run, all_or(to_mask(decode_bitfield(body.bitfield) or b"", manifest.piece_count), manifest.piece_count)
    except ValueError as error:
        raise ValueError(f"a wrong bitfield: {error}") from None


def all_or(mask: int, count: int) -> int | None:
    """None if the mask has all of so many pieces, else the mask."""
    return None if mask.bit_count() == count else mask
