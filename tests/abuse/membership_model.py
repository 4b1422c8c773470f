"""What the locator should know, as simply as it can be said; and peers that say things, to be lost on the way.

The model knows each peer's lease and what of its history was taken over. It shares no code with the rules. Lease ids
are made by each locator; here a lease is a number, counted up.
"""

from dataclasses import dataclass, field

LEASE = 30.0
GRACE = 12.0
KEEP = 600.0
Files = dict[str, str]  # name -> content
Place = tuple[str, int]  # (epoch, sequence); ("", 0): nowhere
NOWHERE: Place = ("", 0)


@dataclass(frozen=True)
class Message:
    """What a peer said once. `kind`: register, beat, delta, part or leave; `lease` is the number it believes in."""

    kind: str
    peer: str
    lease: int
    at: Place
    url: str = ""
    previous: int = 0
    added: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    part: int = 0
    last: bool = False


@dataclass
class Sender:
    """One peer's own side: its share now, what its share was at every place of its history, what it was told."""

    name: str
    url: str
    lease: int = 0
    epoch: int = 1
    sequence: int = 1
    told: Place = NOWHERE  # where the locator said that it is
    files: Files = field(default_factory=dict)
    history: dict[Place, Files] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.history[self.at] = {}

    @property
    def at(self) -> Place:
        """Its newest place."""
        return f"{self.name} {self.epoch}", self.sequence

    def change(self, name: str, content: str | None) -> None:
        """The share gained, replaced or lost (None) a file."""
        self.files = {key: value for key, value in self.files.items() if key != name}
        if content is not None:
            self.files[name] = content
        self.sequence += 1
        self.history[self.at] = self.files

    def lose_index(self) -> None:
        """Its own index was lost: a new epoch."""
        self.epoch += 1
        self.sequence = 1
        self.history[self.at] = self.files

    def delta(self, previous: int) -> Message:
        """What changed since that sequence."""
        old = self.history[self.at[0], previous]
        added = tuple((name, content) for name, content in self.files.items() if old.get(name) != content)
        removed = tuple(name for name in old if name not in self.files)
        return Message("delta", self.name, self.lease, self.at, previous=previous, added=added, removed=removed)

    def snapshot(self, parts: int) -> list[Message]:
        """All of it, in that many parts."""
        files = list(self.files.items())
        return [
            Message(
                "part",
                self.name,
                self.lease,
                self.at,
                added=tuple(files[part::parts]),
                part=part,
                last=part == parts - 1,
            )
            for part in range(parts)
        ]


@dataclass
class Known:
    """What the locator should know of a peer."""

    lease: int | None
    expires: float
    url: str
    place: Place = NOWHERE
    files: Files = field(default_factory=dict)
    making: tuple[Place, int, Files] | None = None  # a snapshot: (of what, the part it waits for, what came)
    ended: float | None = None

    def alive(self, now: float) -> bool:
        """Whether it is a member."""
        return self.lease is not None and self.expires > now


@dataclass(frozen=True)
class Reply:
    """What the locator should answer. `asked`: whether it wants a snapshot; None: the model does not say."""

    place: Place = NOWHERE
    lease: int | None = None
    asked: bool | None = None
    error: str | None = None


class Model:
    """The locator as it should be."""

    def __init__(self, now: float) -> None:
        self.known: dict[str, Known] = {}
        self.leases = 0
        self.grace_ends = now + GRACE

    def hear(self, message: Message, now: float) -> Reply:
        """Take in what a peer said."""
        if message.kind == "register":
            return self._register(message, now)
        known = self.known.get(message.peer)
        if known is None or not known.alive(now):
            return Reply(error="unknown_lease")
        if known.lease != message.lease:
            return Reply(error="lease_taken")
        if message.kind == "leave":
            del self.known[message.peer]
            return Reply()
        if message.kind == "beat":
            known.expires = self._until(now)
            return Reply(known.place, known.lease, None if message.at[0] != known.place[0] else False)
        asked = _delta(known, message) if message.kind == "delta" else _part(known, message)
        return Reply(known.place, known.lease, asked)

    def tick(self, now: float) -> None:
        """Leases that ended are noted; who ended long ago is forgotten."""
        for name, known in list(self.known.items()):
            if known.lease is not None and known.expires <= now:
                known.lease, known.ended = None, now
            if known.ended is not None and known.ended < now - KEEP:
                del self.known[name]

    def restart(self, now: float) -> None:
        """The locator starts again with its store: leases that were not noted as ended last a grace period."""
        self.grace_ends = now + GRACE
        for known in self.known.values():
            known.expires = self.grace_ends

    def in_answers(self, now: float) -> dict[str, Files]:
        """Who is in answers, and with what. A URL with "dark" in it cannot be reached."""
        return {name: known.files for name, known in self.known.items() if known.alive(now) and "dark" not in known.url}

    def _register(self, message: Message, now: float) -> Reply:
        known = self.known.get(message.peer)
        if known is None:
            known = self.known[message.peer] = Known(None, 0.0, message.url)
        if not known.alive(now) or known.url != message.url:
            self.leases += 1
            known.lease = self.leases
        known.url, known.expires, known.ended = message.url, self._until(now), None
        if known.place[0] == message.at[0] and message.at[1] < known.place[1]:
            known.place = NOWHERE
        return Reply(known.place, known.lease, None if message.at[0] != known.place[0] else False)

    def _until(self, now: float) -> float:
        return max(now + LEASE, self.grace_ends)


def _delta(known: Known, message: Message) -> bool:
    """Whether a snapshot is asked for."""
    (epoch, sequence), (here, reached) = message.at, known.place
    if epoch != here:
        return True
    if sequence <= reached or message.previous < reached:
        return False
    if message.previous > reached:
        return True
    kept = {name: content for name, content in known.files.items() if name not in message.removed}
    known.files, known.place, known.making = kept | dict(message.added), message.at, None
    return False


def _part(known: Known, message: Message) -> bool:
    """Whether a snapshot is asked for."""
    if message.at[0] == known.place[0] and message.at[1] <= known.place[1]:
        return False
    if message.part == 0:
        known.making = (message.at, 0, {})
    if known.making is None or known.making[0] != message.at or message.part > known.making[1]:
        return True
    of, waits_for, came = known.making
    if message.part == waits_for:
        known.making = (of, waits_for + 1, came | dict(message.added))
        if message.last:
            known.files, known.place, known.making = known.making[2], of, None
    return False
