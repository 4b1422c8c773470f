"""The rules, on the store in memory, with a time that the test sets."""

import asyncio
from collections.abc import Callable

import pytest

from central_server.answers import IndexState, Registered
from central_server.locator import KEEP_SECONDS, Locator, Terms
from central_server.model import (
    AddressNotAllowed,
    Announcement,
    Entry,
    InvalidRequest,
    LeaseTaken,
    Member,
    Peer,
    Query,
    StoreUnavailable,
    TooManyFiles,
    UnknownLease,
    UnknownPeer,
)
from tests.central_server.memory_store import MemoryStore
from tests.central_server.samples import (
    LEASE,
    NOW,
    delta,
    digest,
    entry,
    epoch,
    holders,
    part,
    peer_id,
    said,
    snapshot,
    vitals,
)

TERMS = Terms(lease=LEASE, grace=LEASE, max_files=100)
SETTLED = NOW - 1000.0  # a start so long ago that its grace is over


async def everybody_answers(_peer_id: bytes, _url: str) -> str | None:
    return None


def locator(store: MemoryStore | None = None, *, started: float = SETTLED, **terms: float) -> Locator:
    changed = Terms(**{"lease": LEASE, "grace": LEASE, "max_files": 100, **terms})  # type: ignore[arg-type]
    return Locator(store or MemoryStore(), everybody_answers, changed, started)


async def join(rules: Locator, word: str, *names: str, now: float = NOW, **more: object) -> bytes:
    """Register and announce; the lease id."""
    done = await rules.register(peer_id(word), said(word, (epoch(word), 1), **more), now)  # type: ignore[arg-type]
    files = [entry(name) for name in names]
    await rules.announce(peer_id(word), done.lease_id, snapshot(1, files, life=word), now)
    return done.lease_id


async def beat(rules: Locator, word: str, lease_id: bytes, now: float, at: int = 1) -> IndexState:
    return (await rules.heartbeat(peer_id(word), lease_id, vitals((epoch(word), at)), now)).state


async def who_has(rules: Locator, name: str, now: float) -> set[str]:
    [groups] = await rules.locate([Query("name", name)], 0, now)
    return {name for _, names in holders(groups) for name in names}


async def test_a_lease_ends_without_heartbeats_and_lives_with_them() -> None:
    rules = locator()
    ann, _ben = await join(rules, "ann", "a"), await join(rules, "ben", "a")
    await beat(rules, "ann", ann, NOW + 20)
    assert await who_has(rules, "a", NOW + 29) == {"ann", "ben"}
    assert await who_has(rules, "a", NOW + 31) == {"ann"}
    assert await who_has(rules, "a", NOW + 51) == set()


async def test_an_ended_or_unknown_lease_must_register_again() -> None:
    rules = locator()
    ann = await join(rules, "ann", "a")
    with pytest.raises(UnknownLease, match="Register again"):
        await beat(rules, "ann", ann, NOW + 31)
    with pytest.raises(UnknownLease):
        await rules.announce(peer_id("ann"), ann, delta(1, 2, life="ann"), NOW + 31)
    with pytest.raises(UnknownLease):
        await beat(rules, "stranger", bytes(16), NOW)
    again = await rules.register(peer_id("ann"), said("ann", (epoch("ann"), 1)), NOW + 40)
    assert again.lease_id != ann
    assert again.state == (epoch("ann"), 1, None)
    assert await who_has(rules, "a", NOW + 41) == {"ann"}


async def test_nobody_expires_in_the_grace_after_a_start() -> None:
    rules = locator(started=NOW, grace=100.0)
    ann = await join(rules, "ann", "a")
    assert await who_has(rules, "a", NOW + 99) == {"ann"}
    await beat(rules, "ann", ann, NOW + 50)
    assert await who_has(rules, "a", NOW + 99) == {"ann"}
    assert await who_has(rules, "a", NOW + 100) == set()


async def test_another_process_with_the_same_key_takes_the_lease_over() -> None:
    rules = locator()
    older = await join(rules, "ann", "a", url="http://10.0.0.1:8001")
    newer = await join(rules, "ann", "a", url="http://10.0.0.2:8001", now=NOW + 1)
    for call in (
        beat(rules, "ann", older, NOW + 2),
        rules.announce(peer_id("ann"), older, delta(1, 2, life="ann"), NOW + 2),
        rules.leave(peer_id("ann"), older, NOW + 2),
    ):
        with pytest.raises(LeaseTaken, match=r"http://10\.0\.0\.2:8001"):
            await call
    await beat(rules, "ann", newer, NOW + 2)


async def test_registering_again_from_the_same_address_keeps_the_lease() -> None:
    rules = locator()
    first = await join(rules, "ann", "a")
    assert await join(rules, "ann", "a", now=NOW + 1) == first
    await beat(rules, "ann", first, NOW + 2)


async def test_a_lease_is_good_only_for_its_peer() -> None:
    rules = locator()
    ann, _ = await join(rules, "ann", "a"), await join(rules, "ben", "b")
    with pytest.raises(LeaseTaken):
        await beat(rules, "ben", ann, NOW)


async def test_leaving_removes_a_peer_at_once() -> None:
    rules = locator()
    ann = await join(rules, "ann", "a")
    await rules.leave(peer_id("ann"), ann, NOW + 1)
    assert await who_has(rules, "a", NOW + 1) == set()
    with pytest.raises(UnknownLease):
        await beat(rules, "ann", ann, NOW + 1)


async def test_a_peer_that_nobody_can_reach_is_told_so_and_is_in_no_answer() -> None:
    why: str | None = "http://ann:8001 does not answer"

    async def dialback(_peer_id: bytes, _url: str) -> str | None:
        return why

    rules = Locator(MemoryStore(), dialback, TERMS, SETTLED)
    done = await rules.register(peer_id("ann"), said("ann", (epoch("ann"), 1)), NOW)
    assert done.unreachable_why == why
    await rules.announce(peer_id("ann"), done.lease_id, snapshot(1, [entry("a")], life="ann"), NOW)
    assert await who_has(rules, "a", NOW) == set()
    assert (await rules.list_peers("", "", ("", b""), 0, NOW)).members == []
    why = None
    again = await rules.register(peer_id("ann"), said("ann", (epoch("ann"), 1)), NOW + 1)
    assert again.unreachable_why is None
    assert (rules.tally.registrations, rules.tally.unreachable) == (2, 1)
    assert await who_has(rules, "a", NOW + 1) == {"ann"}


async def test_a_forbidden_address_registers_nobody() -> None:
    async def dialback(_peer_id: bytes, url: str) -> str | None:
        raise AddressNotAllowed(url=url, why="it is a metadata address")

    store = MemoryStore()
    with pytest.raises(AddressNotAllowed, match="metadata"):
        await Locator(store, dialback, TERMS, SETTLED).register(peer_id("ann"), said("ann"), NOW)
    assert await store.member(peer_id("ann")) is None


async def test_a_new_peer_is_asked_for_a_snapshot_once_it_has_an_index() -> None:
    rules = locator()
    done = await rules.register(peer_id("ann"), said("ann"), NOW)
    assert done.state == (b"", 0, None)
    assert (await beat(rules, "ann", done.lease_id, NOW + 1)).wanted_in == 0.0
    done = await rules.register(peer_id("ben"), said("ben", (epoch("ben"), 3)), NOW)
    assert done.state.wanted_in is not None and done.state.wanted_in <= TERMS.heartbeat


async def test_batches_are_applied_once_and_a_gap_asks_for_a_snapshot() -> None:
    rules = locator()
    ann = await join(rules, "ann", "a")

    async def announce(start: int, end: int, *names: str) -> IndexState:
        added = [entry(name) for name in names]
        return await rules.announce(peer_id("ann"), ann, delta(start, end, added, life="ann"), NOW)

    assert await announce(1, 2, "b") == (epoch("ann"), 2, None)
    assert await announce(1, 2, "b") == (epoch("ann"), 2, None)
    assert await announce(1, 4, "c") == (epoch("ann"), 2, None)
    assert await who_has(rules, "c", NOW) == set()
    gap = await announce(5, 6, "d")
    assert gap[:2] == (epoch("ann"), 2) and gap.wanted_in is not None
    assert await who_has(rules, "d", NOW) == set()
    other = await rules.announce(peer_id("ann"), ann, delta(2, 3, life="new life"), NOW)
    assert other.wanted_in is not None
    assert await who_has(rules, "b", NOW) == {"ann"}


async def test_a_snapshot_under_way_is_not_asked_for_again_unless_it_stops() -> None:
    rules = locator()
    ann = await join(rules, "ann", "a")
    state = await rules.announce(peer_id("ann"), ann, part(0, 1, [entry("b")], life="life 2"), NOW)
    assert state == (epoch("ann"), 1, None)
    again = vitals((epoch("life 2"), 1))
    assert (await rules.heartbeat(peer_id("ann"), ann, again, NOW + 5)).state.wanted_in is None
    assert (await rules.heartbeat(peer_id("ann"), ann, again, NOW + 15)).state.wanted_in is not None
    state = await rules.announce(peer_id("ann"), ann, part(2, 1, [], life="life 2"), NOW + 16)
    assert state.wanted_in is not None
    assert await who_has(rules, "a", NOW + 16) == {"ann"}


async def test_a_locator_that_kept_its_store_asks_nothing_again() -> None:
    store = MemoryStore()
    leases = {word: await join(locator(store), word, f"of {word}") for word in ("ann", "ben", "eve")}
    restarted = locator(store, started=NOW + 1)
    for word, lease_id in leases.items():
        assert await beat(restarted, word, lease_id, NOW + 5) == (epoch(word), 1, None)
        assert await who_has(restarted, f"of {word}", NOW + 5) == {word}


async def test_after_the_store_was_lost_every_resync_starts_within_one_heartbeat() -> None:
    rules = locator(started=NOW)
    for number in range(400):
        word, now = str(number), NOW + TERMS.heartbeat * number / 400
        with pytest.raises(UnknownLease):
            await beat(rules, word, bytes(16), now)
        done = await rules.register(peer_id(word), said(word, (epoch(word), 7)), now)
        assert done.state.wanted_in is not None
        assert now + done.state.wanted_in <= NOW + TERMS.heartbeat


async def neighbours_of(done: Registered) -> list[str]:
    return [peer.name for peer in done.neighbours]


async def test_neighbours_are_three_live_others_and_dead_ones_are_replaced() -> None:
    rules = locator()
    words = sorted("abcdefgh", key=peer_id)
    leases = {word: await join(rules, word) for word in words}

    async def neighbours(word: str, now: float) -> list[str]:
        alive = await rules.heartbeat(peer_id(word), leases[word], vitals(), now)
        return [peer.name for peer in alive.neighbours]

    assert await neighbours(words[0], NOW + 1) == words[1:4]
    assert await neighbours(words[7], NOW + 1) == words[:3]
    for word in set(words) - {words[2]}:
        await beat(rules, word, leases[word], NOW + 25)
    assert await neighbours(words[0], NOW + 31) == [words[1], *words[3:5]]
    await rules.leave(peer_id(words[1]), leases[words[1]], NOW + 31)
    assert await neighbours(words[0], NOW + 31) == words[3:6]


async def test_a_peer_alone_has_no_neighbours_and_a_tick_finds_those_of_the_store() -> None:
    store = MemoryStore()
    rules = locator(store)
    alone = await rules.register(peer_id("ann"), said("ann"), NOW)
    assert alone.neighbours == []
    await join(locator(store), "ben")
    await rules.tick(NOW + 1)
    done = await rules.register(peer_id("ann"), said("ann"), NOW + 2)
    assert await neighbours_of(done) == ["ben"]


async def test_a_tick_forgets_peers_that_are_long_gone() -> None:
    store = MemoryStore()
    rules = locator(store)
    await join(rules, "ann", "a")
    await rules.tick(NOW + LEASE + 1)
    await rules.tick(NOW + KEEP_SECONDS)
    assert await store.member(peer_id("ann")) is not None
    await rules.tick(NOW + LEASE + KEEP_SECONDS + 2)
    assert await store.member(peer_id("ann")) is None


async def test_uploads_go_to_willing_peers_with_most_room_that_lack_the_file() -> None:
    rules = locator()
    await join(rules, "holder", "a", free=900, accepts=True)
    await join(rules, "much", free=800, accepts=True)
    await join(rules, "some", free=500, accepts=True)
    await join(rules, "little", free=99, accepts=True)
    await join(rules, "unwilling", free=900)
    await join(rules, "unwanted", free=900, accepts=True)
    await join(rules, "asker", free=900, accepts=True)

    async def place(count: int, now: float = NOW) -> list[str]:
        found: list[Peer] = await rules.place_upload(
            peer_id("asker"), digest("id a"), 100, count, exclude=[peer_id("unwanted")], now=now
        )
        return [peer.name for peer in found]

    assert await place(1) == ["much"]
    assert await place(64) == ["much", "some"]
    assert await place(64, NOW + 31) == []


async def test_peers_are_listed_by_name_matched_and_paged() -> None:
    rules = locator()
    for word in ("ben", "ann", "eve"):
        await join(rules, word, f"{word}/1", f"{word}/2", "docs/x")

    async def names(
        match: str = "", folder: str = "", after: tuple[str, bytes] = ("", b""), size: int = 0
    ) -> list[object]:
        page = await rules.list_peers(match, folder, after, size, NOW)
        return [(member.peer.name, files, size) for member, files, size in page.members]

    assert await names() == [("ann", 3, 30), ("ben", 3, 30), ("eve", 3, 30)]
    assert await names(match="ben") == [("ben", 3, 30)]
    assert await names(match=peer_id("eve").hex()[:8].upper()) == [("eve", 3, 30)]
    assert await names(match=peer_id("eve").hex()[:7]) == []
    assert await names(folder="ann/") == [("ann", 2, 20)]
    assert await names(folder="docs/", match="eve") == [("eve", 1, 10)]
    page = await rules.list_peers("", "", ("", b""), 2, NOW)
    assert page.after == ("ben", peer_id("ben"))
    assert await names(after=page.after, size=2) == [("eve", 3, 30)]
    with pytest.raises(InvalidRequest, match="slash"):
        await names(folder="docs")


async def test_files_are_listed_in_pages() -> None:
    rules = locator()
    await join(rules, "ann", "a", "b", "c")
    page = await rules.list_files(peer_id("ann"), "", "", 2, NOW)
    assert ([each.name for each in page.entries], page.after) == (["a", "b"], "b")
    page = await rules.list_files(peer_id("ann"), "", "b", 2, NOW)
    assert ([each.name for each in page.entries], page.after) == (["c"], None)
    with pytest.raises(UnknownPeer):
        await rules.list_files(peer_id("ben"), "", "", 2, NOW)


async def test_a_doubled_name_in_a_batch_counts_as_said_last() -> None:
    rules = locator()
    ann = await join(rules, "ann", "a")
    batch = delta(1, 2, [entry("a", "first"), entry("a", "second")], ["a", "a"], life="ann")
    await rules.announce(peer_id("ann"), ann, batch, NOW)
    page = await rules.list_files(peer_id("ann"), "", "", 9, NOW)
    assert page.entries == [entry("a", "second")]


async def test_a_caller_that_goes_away_does_not_stop_its_batch_half_way() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    class Slow(MemoryStore):
        async def announce(self, peer_id: bytes, batch: Announcement, max_files: int) -> Member:
            if batch.sequence == 2:
                begun.set()
                await go_on.wait()
            return await super().announce(peer_id, batch, max_files)

    rules = locator(Slow())
    ann = await join(rules, "ann", "a")
    gone = asyncio.create_task(rules.announce(peer_id("ann"), ann, delta(1, 2, [entry("b")], life="ann"), NOW))
    await begun.wait()
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    following = rules.announce(peer_id("ann"), ann, delta(2, 3, [entry("c")], life="ann"), NOW)
    go_on.set()
    assert await following == (epoch("ann"), 3, None)
    assert await who_has(rules, "b", NOW) == {"ann"}


async def test_more_files_than_allowed_are_refused() -> None:
    rules = locator(max_files=2)
    ann = await join(rules, "ann", "a", "b")
    with pytest.raises(TooManyFiles, match="LOCATOR_MAX_FILES_PER_PEER"):
        await rules.announce(peer_id("ann"), ann, delta(1, 2, [entry("c")], life="ann"), NOW)


def changed(**fields: object) -> Entry:
    return entry("a")._replace(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "call",
    [
        lambda rules, lease: rules.register(peer_id("ann"), said("x" * 65), NOW),
        lambda rules, lease: rules.register(peer_id("ann"), said(" "), NOW),
        lambda rules, lease: rules.register(peer_id("ann"), said("a\x1b[31m"), NOW),
        lambda rules, lease: rules.register(peer_id("ann"), said("ann", (b"short", 1)), NOW),
        lambda rules, lease: rules.register(peer_id("ann"), said("ann", (epoch("1"), 2**63)), NOW),
        lambda rules, lease: rules.register(peer_id("ann"), said("ann", free=2**64 - 1), NOW),
        lambda rules, lease: rules.heartbeat(peer_id("ann"), b"short", vitals(), NOW),
        lambda rules, lease: rules.heartbeat(peer_id("ann"), lease, vitals((b"short", 1)), NOW),
        lambda rules, lease: rules.announce(peer_id("ann"), lease, delta(1, 1, life="ann"), NOW),
        lambda rules, lease: rules.announce(peer_id("ann"), lease, delta(1, 2, [changed(name="../x")]), NOW),
        lambda rules, lease: rules.announce(peer_id("ann"), lease, delta(1, 2, [changed(file_id=b"x")]), NOW),
        lambda rules, lease: rules.announce(peer_id("ann"), lease, delta(1, 2, [changed(sha256=b"")]), NOW),
        lambda rules, lease: rules.announce(peer_id("ann"), lease, delta(1, 2, [changed(size=2**63)]), NOW),
        lambda rules, lease: rules.announce(peer_id("ann"), lease, delta(1, 2, [entry("a")] * 2001), NOW),
        lambda rules, lease: rules.announce(peer_id("ann"), lease, delta(1, 2, [], ["a"] * 2001), NOW),
        lambda rules, lease: rules.announce(peer_id("ann"), lease, delta(1, 2, [], ["/etc"]), NOW),
        lambda rules, lease: rules.locate([Query("name", "a")] * 257, 0, NOW),
        lambda rules, lease: rules.locate([Query("name", "a//b")], 0, NOW),
        lambda rules, lease: rules.locate([Query("sha256", b"x")], 0, NOW),
        lambda rules, lease: rules.search("", (0, 0), 0, NOW, 1.0),
        lambda rules, lease: rules.search("x" * 257, (0, 0), 0, NOW, 1.0),
        lambda rules, lease: rules.list_files(b"x", "", "", 0, NOW),
        lambda rules, lease: rules.list_files(peer_id("ann"), "../", "", 0, NOW),
        lambda rules, lease: rules.place_upload(b"", digest("x"), 1, 0, exclude=[], now=NOW),
        lambda rules, lease: rules.place_upload(b"", digest("x"), 1, 65, exclude=[], now=NOW),
        lambda rules, lease: rules.place_upload(b"", b"x", 1, 1, exclude=[], now=NOW),
        lambda rules, lease: rules.place_upload(b"", digest("x"), 1, 1, exclude=[b"x"], now=NOW),
        lambda rules, lease: rules.place_upload(b"", digest("x"), 1, 1, exclude=[digest("x")] * 257, now=NOW),
    ],
)
async def test_what_is_over_its_limit_or_malformed_is_refused(call: Callable[[Locator, bytes], object]) -> None:
    rules = locator()
    lease_id = await join(rules, "ann", "kept")
    with pytest.raises(InvalidRequest):
        await call(rules, lease_id)  # type: ignore[misc]  # each case is a coroutine
    assert await who_has(rules, "kept", NOW) == {"ann"}


def test_every_error_says_what_happened_in_one_line() -> None:
    error = StoreUnavailable(why="its disk is full")
    assert str(error) == "The locator cannot do that now: its disk is full. Try again later."
    assert "\n" not in str(LeaseTaken(address="http://x"))
