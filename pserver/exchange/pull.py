"""The pieces of one file, from many peers at once: what the plan decides is done here.

Decided under the lock, done outside it. A worker reads a run of pieces into a borrowed buffer, hashes each part while
it is in the processor's caches, and writes a piece once it has verified and is the first to. Each worker that ends
lets the plan decide anew; `run` only looks after what no event tells: stalls, syncs, lookups, patience.
"""

import functools
import threading
from collections import Counter
from collections.abc import Callable, Sequence

from blake3 import blake3

from pserver.exchange.asks import Ask
from pserver.exchange.bitfield import mask_of_flags, to_mask, unpack
from pserver.exchange.engine import Engine, Stopped
from pserver.exchange.failures import failure_of
from pserver.exchange.news import News, all_or, chosen_run
from pserver.exchange.partial import Partial
from pserver.exchange.plan import Plan
from pserver.exchange.progress import Live, source_view
from pserver.model import Holder, Peer, PServerError, Unavailable
from pserver.remote.peer_http import LacksPiece, PeerDead, PeerLied
from pserver.remote.reading import Interrupt, RangeReader
from pserver.views import SourceView

_MOST_PEERS = 256  # that are heard of from other peers
Record = Callable[[bytes, int], None]  # a packed bitfield, and how many bytes that is


class Pull:
    """Fills `partial` from the peers that are added. `file_id` names the file at these."""

    def __init__(self, engine: Engine, file_id: bytes, partial: Partial, live: Live) -> None:
        self._engine = engine
        self._file_id = file_id
        self._manifest = partial.manifest
        self._partial = partial
        self._live = live
        self._news = News(engine, file_id, partial)
        limits, news = engine.limits.plan, self._news.at_once
        self._plan = Plan(partial.manifest.piece_size, partial.flags, limits, expects_news=news)
        self._changed = threading.Condition()
        self._peers: dict[str, Peer] = {}
        self._given: Counter[str] = Counter()  # bytes that each gave, first of all
        self._interrupts: dict[int, Interrupt] = {}
        self._writing = 0
        self._closed = False
        self._broken: PServerError | None = None
        self._progress_at = engine.clock()
        self._look_at = self._progress_at + engine.limits.look_for_more_seconds
        self._look_wait = engine.limits.look_again_seconds
        self._looking = False
        self.standstill: str | None = None

    def add(self, holder: Holder) -> None:
        """A peer that has the file; asks it which pieces, if not all. May take seconds."""
        peer, now = holder.peer, self._engine.clock()
        if peer.peer_id == self._engine.peers.peer_id or self._engine.bans.banned(peer.peer_id, now):
            return
        has: bytearray | None = None
        failure: PServerError | None = None
        if holder.partial:
            try:
                has = self._ask_bitfield(peer)
            except PServerError as error:
                has, failure = bytearray(self._manifest.piece_count), error
        with self._changed:
            self._peers[peer.peer_id] = peer
            mask = None if has is None or 0 not in has else mask_of_flags(has)
            self._plan.add_source(peer.peer_id, peer.name, mask, now)
            if failure is not None:
                self._plan.lose_source(peer.peer_id, failure_of(failure), str(failure), now)

    def sources(self, now: float) -> tuple[SourceView, ...]:
        """The peers as sources of this file."""
        with self._changed:
            sources = self._plan.sources()
            return tuple(source_view(one, self._peers[one.key], self._given[one.key], now) for one in sources)

    def run(self, stopped: threading.Event, record: Record, announce: Callable[[], None] = lambda: None) -> None:
        """Until every piece is in the partial. Safe pieces are recorded meanwhile; `announce` is called once, if it
        takes a while, when there is a piece to serve.

        Raises Stopped; Unavailable, saying why nothing came for too long; NoRoom and Unavailable of the disk.
        """
        announce_at: float | None = self._engine.clock() + self._engine.limits.announce_seconds
        try:
            while not self._done():
                if stopped.is_set():
                    raise Stopped
                self._tick(self._engine.clock(), record)
                if announce_at is not None and self._engine.clock() >= announce_at and self._partial.bytes_done:
                    announce_at = None
                    announce()
                with self._changed:
                    self._changed.wait_for(self._over, self._next_tick())
        finally:
            self._cut_off()
            # A whole file is synced and recorded as it lands.
            if self._broken is None and not self._plan.finished:
                self._partial.sync(self._engine.clock(), record)
        if self._broken is not None:
            raise self._broken

    def _next_tick(self) -> float:
        return min(self._engine.limits.tick_seconds, max(self._news.due_at - self._engine.clock(), 0.01))

    def _tick(self, now: float, record: Record) -> None:
        self._pump(now)
        if self._partial.sync_due(now):
            self._partial.sync(now, record)
        with self._changed:
            self.standstill = self._plan.stuck(now)
            all_lied = self._plan.all_lied()
            look = not self._looking and now >= self._next_look()
            self._looking = self._looking or look
            source = self._news.due(self._plan.sources(), now)
        if look:
            self._engine.workers.submit(self._look)
        if source is not None:
            self._engine.workers.submit(functools.partial(self._hear, self._peers[source]))
        limits = self._engine.limits
        patience = limits.lies_patience_seconds if all_lied else limits.patience_seconds
        if self.standstill is not None and now - self._progress_at > patience:
            raise Unavailable(f"nothing came for {patience:.0f} s: {self.standstill}")

    # --- sources ------------------------------------------------------------------------------------------------

    def _next_look(self) -> float:
        if self.standstill is None:
            self._look_wait = self._engine.limits.look_again_seconds
            return self._look_at
        return min(self._look_at, self._progress_at + self._look_wait)

    def _look(self) -> None:
        """Look the sources up again."""
        limits = self._engine.limits
        try:
            group = self._engine.find_holders([self._file_id]).get(self._file_id)
            for holder in group.holders if group is not None else ():
                self.add(holder)
        except PServerError:
            pass  # no lookup now: what is known of the sources stands, and why nothing moves too
        finally:
            with self._changed:
                self._looking = False
                moves = self.standstill is None
                self._look_at = self._engine.clock() + (limits.look_for_more_seconds if moves else self._look_wait)
                self._look_wait = min(self._look_wait * 2, limits.look_for_more_seconds)
            self._pump(self._engine.clock())

    def asked_by(self, peer_id: str, has: int) -> None:
        """A peer that fetches the file from this one told which pieces it has."""
        with self._changed:
            if self._closed or not self._plan.knows(peer_id):
                return
            self._plan.learnt(peer_id, all_or(has, self._manifest.piece_count))
            if self._plan.full:
                return
        self._pump(self._engine.clock())

    def _hear(self, source: Peer) -> None:
        """Ask that source who else fetches the file."""
        with self._changed:
            known = frozenset(self._peers)
        heard, later = self._news.ask(source, known, self._found)
        with self._changed:
            for peer, has in heard:
                self._add_other(peer, has)
            if not later:
                self._plan.heard_news()
            crowded, hungry = self._plan.crowded, self._plan.hungry
        self._news.heard(self._engine.clock(), crowded=crowded or later, hungry=hungry)
        self._pump(self._engine.clock())

    def _found(self, peer: Peer, has: int) -> None:
        """That peer fetches the file too, and is where it is said to be."""
        with self._changed:
            if peer.peer_id in self._peers:
                return  # and more is known of it by now
            self._add_other(peer, has)
        self._pump(self._engine.clock())

    def _add_other(self, peer: Peer, has: int) -> None:
        if peer.peer_id in self._peers or len(self._peers) < _MOST_PEERS:
            # Also one that was gone: it may have begun only now.
            mask = all_or(has, self._manifest.piece_count)
            self._peers.setdefault(peer.peer_id, peer)
            self._plan.add_source(peer.peer_id, peer.name, mask, self._engine.clock())

    def _ask_bitfield(self, peer: Peer) -> bytearray | None:
        _, packed = self._engine.peers.manifest(peer, self._file_id, self._manifest.size)
        return None if packed is None else self._unpack(peer, packed)

    def _unpack(self, peer: Peer, packed: bytes) -> bytearray:
        try:
            return unpack(packed, self._manifest.piece_count)
        except ValueError as error:
            raise PeerLied(f"{peer.name} sent a wrong bitfield: {error}") from None

    # --- requests -----------------------------------------------------------------------------------------------

    def _pump(self, now: float) -> None:
        """Let the plan decide, and have done what it decides."""
        for ask in self._decide(now):
            self._submit(ask)

    def _decide(self, now: float) -> Sequence[Ask]:
        """The requests to make now, by the plan; what it gives up is cut off."""
        with self._changed:
            if self._closed:
                return ()
            room = self._engine.shares.fair(self._manifest.piece_size) - self._plan.in_flight
            decision = self._plan.decide(now, max(room, 0))
            cut = [self._interrupts.pop(number) for number in decision.aborts if number in self._interrupts]
            self._interrupts.update((ask.number, Interrupt()) for ask in decision.asks)
        for interrupt in cut:
            interrupt.interrupt()
        return decision.asks

    def _submit(self, ask: Ask) -> None:
        self._engine.workers.submit(functools.partial(self._serve, ask))

    def _serve(self, first: Ask) -> None:
        """That request, and then one after another of those that the plan decides on as one ends.

        So a request seldom waits for a thread to wake: with many peers on one processor that is much of its cost.
        """
        ask: Ask | None = first
        while ask is not None:
            with self._changed:
                interrupt = self._interrupts.get(ask.number)
            if interrupt is None:
                return
            self._serve_one(ask, interrupt)
            ask, *others = self._decide(self._engine.clock()) or (None,)
            for other in others:
                self._submit(other)

    def _serve_one(self, ask: Ask, interrupt: Interrupt) -> None:
        """One request, from its beginning to its end."""
        try:
            self._read(ask, interrupt)
            with self._changed:
                self._plan.ended(ask.number)
        except PServerError as error:
            self._report(ask, error)
        finally:
            with self._changed:
                self._interrupts.pop(ask.number, None)

    def _read(self, ask: Ask, interrupt: Interrupt) -> None:
        offset = self._manifest.span(ask.first)[0]
        length = sum(self._manifest.span(ask.first + ask.count - 1)) - offset
        peer = self._peers[ask.source]
        want = self._news.want(ask.choices, ask.most) if ask.choices else None
        asked = self._engine.clock()
        with (
            self._engine.buffers.lend(self._manifest.piece_size) as buffer,
            self._engine.peers.open_range(peer, self._file_id, offset, length, interrupt, want=want) as body,
        ):
            if want is not None and not self._is_chosen(ask, body):
                return
            now = self._engine.clock()
            self._live.waited(peer.name, now - asked, now)
            while (piece := self._next_piece(ask)) is not None:
                self._take(ask, piece, body, buffer)

    def _is_chosen(self, ask: Ask, body: RangeReader) -> bool:
        """Whether the piece that the source has chosen is wanted (still). Raises PeerLied if it is none."""
        try:
            run, has = chosen_run(ask, body, self._manifest)
        except ValueError as error:
            raise PeerLied(f"{self._peers[ask.source].name} sent {error}") from None
        with self._changed:
            self._plan.learnt(ask.source, has)
            return not self._closed and self._plan.chosen(ask.number, run)

    def _take(self, ask: Ask, piece: int, body: RangeReader, buffer: memoryview) -> None:
        content, hashed, clock = buffer[: self._manifest.span(piece)[1]], blake3(), self._engine.clock
        asked = clock()

        def allowed(most: int) -> int:
            nonlocal asked
            count = self._engine.throttle.take(self._live, most, functools.partial(self._held_back, ask))
            asked = clock()
            return count

        def on_slice(part: memoryview) -> None:
            nonlocal asked
            came = clock()
            hashed.update(part)
            asked, waited = clock(), came - asked
            self._arrived(ask, len(part), waited, asked - came)

        body.fill(content, on_slice, allowed)
        if hashed.digest() != self._manifest.piece_hash(piece):
            self._engine.tally.wrong()
            raise PeerLied(f"{self._peers[ask.source].name} sent a wrong piece")
        self._engine.tally.right()
        self._keep(ask, piece, content)

    def _next_piece(self, ask: Ask) -> int | None:
        with self._changed:
            return None if self._closed else self._plan.next_piece(ask.number)

    def _held_back(self, ask: Ask, seconds: float) -> None:
        """The download rate did not allow to read on for so long. Raises PeerDead once nobody waits for it any more."""
        now = self._engine.clock()
        self._live.worked("rate limit", seconds, now)
        with self._changed:
            if self._closed or ask.number not in self._interrupts:
                raise PeerDead("it was cut off")
            self._plan.arrived(ask.number, 0, now, seconds)

    def _arrived(self, ask: Ask, count: int, waited: float, hashed: float) -> None:
        now = self._engine.clock()
        self._live.arrived(count, now)
        self._live.waited(self._peers[ask.source].name, waited, now)
        self._live.worked("processor", hashed, now)
        with self._changed:
            self._plan.arrived(ask.number, count, now)

    def _keep(self, ask: Ask, piece: int, content: memoryview) -> None:
        """Write the piece, unless another was first."""
        with self._changed:
            if self._closed or not self._plan.verified(ask.number, piece):
                return
            self._writing += 1
            self._given[ask.source] += len(content)
            self._progress_at = self._engine.clock()
        try:
            self._write(piece, content)
        except PServerError as error:
            self._broken = error
        finally:
            with self._changed:
                self._writing -= 1
                if self._closed or self._over():
                    self._changed.notify_all()

    def _write(self, piece: int, content: memoryview) -> None:
        began = self._engine.clock()
        self._partial.write(piece, content)
        now = self._engine.clock()
        self._live.worked("disk", now - began, now)

    def _report(self, ask: Ask, error: PServerError) -> None:
        now, failure = self._engine.clock(), failure_of(error)
        with self._changed:
            live = ask.number in self._interrupts  # else it was cut off by us, and the error is the cut
            if live and isinstance(error, LacksPiece) and error.bitfield is not None:
                try:
                    self._plan.learnt(ask.source, to_mask(error.bitfield, self._manifest.piece_count))
                except ValueError:
                    failure = "lied"
            self._plan.failed(ask.number, failure, str(error), now)
        if live and failure == "lied":
            self._engine.bans.add(ask.source, now)
        elif live and failure in {"dead", "stalled"}:
            self._engine.silent.add(ask.source, now)

    # --- the end ------------------------------------------------------------------------------------------------

    def _done(self) -> bool:
        with self._changed:
            return self._over()

    def _over(self) -> bool:
        return self._broken is not None or (self._plan.finished and not self._writing)

    def _cut_off(self) -> None:
        """End what is in flight; nothing is written to the partial after this."""
        with self._changed:
            self._closed = True
            interrupts = list(self._interrupts.values())
            self._interrupts.clear()
            self._changed.wait_for(lambda: not self._writing)
        for interrupt in interrupts:
            interrupt.interrupt()
