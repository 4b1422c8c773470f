"""When peers may send a whole snapshot: spread by a rate, yet each within one heartbeat.

After the store was lost every peer must resync. All at once would stop everything else for a while, so each is given
a start of its own. The rate yields to the promise that nobody waits longer than a heartbeat.
"""

RESYNCS_PER_SECOND = 20.0


class Resyncs:
    """Who was asked for a snapshot, and when it may start. Times in seconds."""

    def __init__(self, started: float, heartbeat: float) -> None:
        self._first_round_ends = started + heartbeat
        self._heartbeat = heartbeat
        self._next_slot = started
        self._starts: dict[bytes, float] = {}
        self._heard: dict[bytes, float] = {}
        self.asked = 0  # snapshots, since the start

    def ask(self, peer_id: bytes, now: float) -> float:
        """How long the peer should wait before it starts its snapshot; the same start however often it is asked."""
        self._heard.pop(peer_id, None)
        start = self._starts.get(peer_id)
        if start is None or start + self._heartbeat < now:
            start = self._starts[peer_id] = self._slot(now)
            self.asked += 1
        return max(0.0, start - now)

    def came(self, peer_id: bytes, now: float) -> None:
        """A part of its snapshot came."""
        self._starts.pop(peer_id, None)
        self._heard[peer_id] = now

    def underway(self, peer_id: bytes, now: float) -> bool:
        """Whether a part came within the last heartbeat, so that there is nothing to ask for."""
        heard = self._heard.get(peer_id)
        return heard is not None and now - heard < self._heartbeat

    def forget(self, peer_id: bytes) -> None:
        """The snapshot is complete, or the peer is gone."""
        self._starts.pop(peer_id, None)
        self._heard.pop(peer_id, None)

    def drop_old(self, now: float) -> None:
        """Forget what was long ago, so that gone peers do not pile up."""
        for times in (self._starts, self._heard):
            for peer_id in [each for each, time in times.items() if time + 2 * self._heartbeat < now]:
                del times[peer_id]

    def _slot(self, now: float) -> float:
        # A store that was lost is lost since the start at the latest, and its first heartbeats come over one
        # heartbeat by themselves: within this first round the delay may only use up what is left of it.
        latest = self._first_round_ends if now < self._first_round_ends else now + self._heartbeat
        slot = min(max(self._next_slot, now), latest)
        self._next_slot = max(self._next_slot, now) + 1.0 / RESYNCS_PER_SECOND
        # Beyond `latest` the queue means nothing: whoever comes later starts at its own latest moment.
        self._next_slot = min(self._next_slot, now + self._heartbeat)
        return slot
