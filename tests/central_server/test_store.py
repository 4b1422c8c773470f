"""The store contract, on every store."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from central_server.model import InvalidRequest, Query, TooManyFiles, UnknownPeer
from central_server.store import Store
from central_server.store_sqlite import SQLiteStore
from tests.central_server.memory_store import MemoryStore
from tests.central_server.samples import (
    LEASE,
    NOW,
    delta,
    digest,
    entry,
    epoch,
    holders,
    lease,
    part,
    peer_id,
    said,
    snapshot,
    vitals,
)

MANY = 1_000_000
Opened = Callable[[], AbstractAsyncContextManager[Store]]


@pytest.fixture(params=["sqlite", "memory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    @asynccontextmanager
    async def open_store() -> AsyncIterator[Store]:
        store: Store = MemoryStore()
        if request.param == "sqlite":
            store = SQLiteStore(tmp_path / "locator.sqlite", revived_until=NOW + LEASE)
        yield store
        await store.close()

    return open_store


async def join(store: Store, word: str, *files: str, reachable: bool = True, until: float = NOW + LEASE) -> None:
    """A member that holds files whose contents are their names."""
    await store.register(peer_id(word), said(word), lease(word, until=until), reachable)
    await store.announce(peer_id(word), snapshot(1, [entry(name) for name in files]), MANY)


async def named(store: Store, name: str, now: float = NOW) -> list[tuple[str, set[str]]]:
    [groups] = await store.holders_of([Query("name", name)], 16, now)
    return holders(groups)


async def names_of(store: Store, word: str) -> list[str]:
    return [each.name for each in await store.files_of(peer_id(word), "", "", 100, NOW)]


async def test_a_peer_is_in_answers_until_its_lease_expires(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "a.txt", until=NOW + 5)
        assert await named(store, "a.txt", NOW + 4.9) == [("a.txt", {"ann"})]
        for after in (NOW + 5, NOW + 6):
            assert await named(store, "a.txt", after) == []
            assert await store.members(after) == []
            assert (await store.search("a", (0, 0), 10, after, 5)).groups == []
            assert await store.counts_below("", after) == {}
            with pytest.raises(UnknownPeer):
                await store.files_of(peer_id("ann"), "", "", 10, after)


async def test_an_unreachable_peer_is_in_no_answer(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "a.txt", reachable=False)
        assert await named(store, "a.txt") == []
        assert await store.members(NOW) == []
        member = await store.member(peer_id("ann"))
        assert member is not None and member.alive(NOW) and not member.reachable


async def test_renewing_lengthens_the_current_lease_only(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "a.txt")
        await store.renew(peer_id("ann"), lease("other", until=NOW + 100), vitals())
        assert await named(store, "a.txt", NOW + 99) == []
        await store.renew(peer_id("ann"), lease("ann", until=NOW + 100), vitals(free=7, accepts=True))
        assert await named(store, "a.txt", NOW + 99) == [("a.txt", {"ann"})]
        [member] = await store.members(NOW + 99)
        assert (member.free_bytes, member.accepts_uploads) == (7, True)
        await store.renew(peer_id("stranger"), lease("stranger"), vitals())


async def test_leaving_takes_the_files_along_at_once(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "a.txt")
        await store.leave(peer_id("ann"))
        await store.leave(peer_id("stranger"))
        assert await named(store, "a.txt") == []
        member = await store.register(peer_id("ann"), said("ann"), lease("ann"), True)
        assert member.index.epoch == b"" and member.index.files == 0
        assert await named(store, "a.txt") == []


async def test_an_index_is_there_again_when_its_peer_registers_again(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "a.txt", until=NOW + 1)
        await store.sweep(NOW + 2, NOW - 600)
        assert await named(store, "a.txt", NOW + 2) == []
        member = await store.register(peer_id("ann"), said("ann", (epoch("1"), 1)), lease("new"), True)
        assert (member.index.epoch, member.index.sequence, member.index.files) == (epoch("1"), 1, 1)
        assert await named(store, "a.txt", NOW + 2) == [("a.txt", {"ann"})]


async def test_a_peer_that_went_back_must_announce_anew(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "a.txt")
        await store.announce(peer_id("ann"), delta(1, 9, [entry("b.txt")]), MANY)
        member = await store.register(peer_id("ann"), said("ann", (epoch("1"), 4)), lease("ann"), True)
        assert (member.index.epoch, member.index.sequence) == (b"", 0)
        assert await named(store, "b.txt") == [("b.txt", {"ann"})]


async def test_a_delta_adds_replaces_and_removes(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "a", "b", "c")
        changed = entry("b", "new b", size=100)
        member = await store.announce(peer_id("ann"), delta(1, 2, [entry("d"), changed], ["a", "never there"]), MANY)
        assert await store.files_of(peer_id("ann"), "", "", 9, NOW) == [changed, entry("c"), entry("d")]
        assert (member.index.sequence, member.index.files, member.index.size) == (2, 3, 120)
        assert await named(store, "a") == []
        [groups] = await store.holders_of([Query("file_id", digest("id b"))], 9, NOW)
        assert groups == []
        member = await store.announce(peer_id("ann"), delta(2, 3, [entry("b", "new b")], ["c", "d"]), MANY)
        assert (member.index.files, member.index.size) == (1, 10)


async def test_a_snapshot_is_hidden_until_its_end_then_replaces_all(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "same", "old", "changed")
        new = entry("changed", "other content")
        member = await store.announce(peer_id("ann"), part(0, 5, [entry("same"), new]), MANY)
        assert member.index.hidden is not None and member.index.hidden.next_part == 1
        assert (member.index.sequence, member.index.files) == (1, 3)
        assert await names_of(store, "ann") == ["changed", "old", "same"]
        assert await store.files_of(peer_id("ann"), "changed", "", 9, NOW) == [entry("changed")]
        member = await store.announce(peer_id("ann"), part(1, 5, [entry("new")], end=True), MANY)
        assert member.index.hidden is None
        assert (member.index.sequence, member.index.files) == (5, 3)
        assert await store.files_of(peer_id("ann"), "", "", 9, NOW) == [new, entry("new"), entry("same")]
        assert await named(store, "old") == []
        for _ in range(20):
            await store.sweep(NOW, NOW - 600)
        assert await names_of(store, "ann") == ["changed", "new", "same"]


async def test_an_aborted_snapshot_leaves_nothing_behind(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "a", "b")
        await store.announce(peer_id("ann"), part(0, 5, [entry("a"), entry("ghost"), entry("b", "other")]), MANY)
        await store.announce(peer_id("ann"), part(0, 6, [entry("b")]), MANY)
        assert await names_of(store, "ann") == ["a", "b"]
        member = await store.announce(peer_id("ann"), part(1, 6, [entry("c")], end=True), MANY)
        assert await store.files_of(peer_id("ann"), "", "", 9, NOW) == [entry("b"), entry("c")]
        assert member.index.files == 2


async def test_a_delta_ends_a_snapshot_in_the_making(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "a", "b")
        await store.announce(peer_id("ann"), part(0, 5, [entry("a"), entry("ghost")]), MANY)
        member = await store.announce(peer_id("ann"), delta(1, 2, [entry("a"), entry("c")], ["b"]), MANY)
        assert member.index.hidden is None
        assert await names_of(store, "ann") == ["a", "c"]
        await store.announce(peer_id("ann"), snapshot(7, [entry("a"), entry("b")]), MANY)
        assert await names_of(store, "ann") == ["a", "b"]


async def test_a_name_twice_in_a_snapshot_counts_as_its_later_part_says(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "x", "y")
        await store.announce(peer_id("ann"), part(0, 5, [entry("x"), entry("y", "other")]), MANY)
        last = [entry("x", "other"), entry("y"), entry("z")]
        member = await store.announce(peer_id("ann"), part(1, 5, last, end=True), MANY)
        assert await store.files_of(peer_id("ann"), "", "", 9, NOW) == last
        assert (member.index.files, member.index.size) == (3, 30)


async def test_flags_change_with_a_snapshot_and_a_delta(opened: Opened) -> None:
    async with opened() as store:
        await store.register(peer_id("ann"), said("ann"), lease("ann"), True)
        for sequence, (checked, partial) in enumerate([(False, True), (False, False), (True, False)], start=1):
            wanted = entry("a", checked=checked, partial=partial)
            await store.announce(peer_id("ann"), snapshot(sequence, [wanted]), MANY)
            assert await store.files_of(peer_id("ann"), "", "", 9, NOW) == [wanted]
        await store.announce(peer_id("ann"), delta(3, 4, [entry("a", checked=False)]), MANY)
        assert await store.files_of(peer_id("ann"), "", "", 9, NOW) == [entry("a", checked=False)]


async def test_a_batch_with_too_many_files_changes_nothing(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "a", "b")
        too_many = [entry(name) for name in "cde"]
        for batch in (delta(1, 2, too_many), snapshot(2, [*too_many, entry("f"), entry("g")])):
            with pytest.raises(TooManyFiles, match=r"allows \(4\)"):
                await store.announce(peer_id("ann"), batch, 4)
        assert await names_of(store, "ann") == ["a", "b"]
        member = await store.announce(peer_id("ann"), delta(1, 2, [entry("c"), entry("d")]), 4)
        assert (member.index.sequence, member.index.files) == (2, 4)


async def test_a_name_means_its_files_with_all_their_holders(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "report", "other")
        await store.register(peer_id("ben"), said("ben"), lease("ben"), True)
        await store.announce(
            peer_id("ben"), snapshot(1, [entry("renamed", "report"), entry("report", "ben's own")]), MANY
        )
        await join(store, "eve", "report")
        [groups] = await store.holders_of([Query("name", "report")], 16, NOW)
        assert [group.holder_count for group in groups] == [3, 1]
        assert groups[0].names == ("report", "renamed")
        assert {(holder.peer.name, holder.name) for holder in groups[0].holders} == {
            ("ann", "report"),
            ("ben", "renamed"),
            ("eve", "report"),
        }
        assert holders(groups[1:]) == [("report", {"ben"})]


async def test_a_name_that_only_a_gone_peer_used_means_nothing(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "report", until=NOW + 5)
        await store.register(peer_id("ben"), said("ben"), lease("ben"), True)
        await store.announce(peer_id("ben"), snapshot(1, [entry("renamed", "report")]), MANY)
        assert await named(store, "report", NOW + 6) == []


async def test_a_peer_with_two_names_for_a_file_is_one_holder_under_the_name_asked_for(opened: Opened) -> None:
    async with opened() as store:
        await store.register(peer_id("ann"), said("ann"), lease("ann"), True)
        await store.announce(
            peer_id("ann"), snapshot(1, [entry("one", "x"), entry("two", "x"), entry("zoo", "x")]), MANY
        )
        for name in ("one", "two", "zoo"):
            [[group]] = await store.holders_of([Query("name", name)], 16, NOW)
            assert group.holder_count == 1
            assert [holder.name for holder in group.holders] == [name]
            assert set(group.names) == {"one", "two", "zoo"}


async def test_by_sha256_only_holders_that_checked_it_count(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "a")
        await store.register(peer_id("ben"), said("ben"), lease("ben"), True)
        await store.announce(peer_id("ben"), snapshot(1, [entry("a", checked=False), entry("b", checked=False)]), MANY)
        by_sha, by_id, unchecked = await store.holders_of(
            [Query("sha256", digest("sha a")), Query("file_id", digest("id a")), Query("sha256", digest("sha b"))],
            16,
            NOW,
        )
        assert holders(by_sha) == [("a", {"ann"})] and by_sha[0].holder_count == 1
        assert holders(by_id) == [("a", {"ann", "ben"})]
        assert unchecked == []


async def test_a_liar_does_not_change_what_honest_holders_said(opened: Opened) -> None:
    async with opened() as store:
        lie = entry("a")._replace(sha256=digest("lie"), size=1)
        await store.register(peer_id("liar"), said("liar"), lease("liar"), True)
        await store.announce(peer_id("liar"), snapshot(1, [lie]), MANY)
        await join(store, "ann", "a")
        await join(store, "ben", "a")
        [groups] = await store.holders_of([Query("file_id", digest("id a"))], 16, NOW)
        assert [(group.size, group.sha256, group.holder_count) for group in groups] == [
            (10, digest("sha a"), 2),
            (1, digest("lie"), 1),
        ]
        [groups] = await store.holders_of([Query("sha256", digest("sha a"))], 16, NOW)
        assert holders(groups) == [("a", {"ann", "ben"})]


async def test_of_many_holders_a_random_choice_comes(opened: Opened) -> None:
    async with opened() as store:
        for number in range(20):
            await join(store, f"peer{number}", "popular")
        seen: set[str] = set()
        for _ in range(60):
            [[group]] = await store.holders_of([Query("name", "popular")], 3, NOW)
            assert (len(group.holders), group.holder_count) == (3, 20)
            seen |= {holder.peer.name for holder in group.holders}
        assert len(seen) == 20


async def test_at_most_32_groups_and_8_names(opened: Opened) -> None:
    async with opened() as store:
        for number in range(40):
            await store.register(peer_id(str(number)), said(str(number)), lease(str(number)), True)
            entries = [entry("readme", f"of {number}"), *(entry(f"copy {n} of {number}", "same") for n in range(3))]
            await store.announce(peer_id(str(number)), snapshot(1, entries), MANY)
        readmes, same = await store.holders_of([Query("name", "readme"), Query("file_id", digest("id same"))], 5, NOW)
        assert len(readmes) == 32
        assert (len(same[0].names), same[0].holder_count) == (8, 40)


async def test_a_file_with_very_many_names_still_has_all_its_holders(opened: Opened) -> None:
    async with opened() as store:
        for word in ("ann", "ben", "eve"):
            await store.register(peer_id(word), said(word), lease(word), True)
            empty = [entry(f"{word}/{number}/__init__.py", "empty", checked=number != 0) for number in range(300)]
            await store.announce(peer_id(word), snapshot(1, empty), MANY)
        for query in (Query("file_id", digest("id empty")), Query("sha256", digest("sha empty"))):
            [[group]] = await store.holders_of([query], 16, NOW)
            assert group.holder_count == 3
            assert {holder.peer.name for holder in group.holders} == {"ann", "ben", "eve"}
        [[group]] = await store.holders_of([Query("name", "eve/7/__init__.py")], 16, NOW)
        assert group.holder_count == 3


async def test_answers_come_in_the_order_of_the_queries(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", *[f"f{number}" for number in range(50)])
        queries = [Query("name", f"f{number}") for number in (*range(49, -1, -1), 77)]
        answers = await store.holders_of(queries, 16, NOW)
        assert [holders(groups) for groups in answers[:-1]] == [[(query.value, {"ann"})] for query in queries[:-1]]
        assert answers[-1] == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("report", ["docs/Report 2024.pdf", "docs/report-draft.txt"]),
        ("REP 20", ["docs/Report 2024.pdf"]),
        ("20 rep", ["docs/Report 2024.pdf"]),
        ("docs/rep", ["docs/Report 2024.pdf", "docs/report-draft.txt"]),
        ("cafe", ["Café/Ångström.csv"]),
        ("CAFE\u0301 angstrom", ["Café/Ångström.csv"]),
        ("port", []),
        ("report nothing", []),
        ('"report" OR zebra', []),
        ("rep*", ["docs/Report 2024.pdf", "docs/report-draft.txt"]),
        ("d", ["docs/Report 2024.pdf", "docs/report-draft.txt"]),
        ("снег", ["снег.jpg"]),
        ("NEAR(report, 2)", []),
    ],
)
async def test_search_matches_beginnings_of_words(opened: Opened, words: str, found: list[str]) -> None:
    async with opened() as store:
        await join(store, "ann", "docs/Report 2024.pdf", "docs/report-draft.txt", "Café/Ångström.csv", "снег.jpg")
        page = await store.search(words, (0, 0), 10, NOW, 5)
        assert [group.names[0] for group in page.groups] == found
        assert page.after is None


@pytest.mark.parametrize("words", ["...", '"', "* -", "\0"])
async def test_search_without_a_word_is_refused(opened: Opened, words: str) -> None:
    async with opened() as store:
        with pytest.raises(InvalidRequest):
            await store.search(words, (0, 0), 10, NOW, 5)


async def test_search_pages_hold_each_file_once_in_the_order_of_first_sight(opened: Opened) -> None:
    async with opened() as store:
        await store.register(peer_id("ann"), said("ann"), lease("ann"), True)
        await store.register(peer_id("ben"), said("ben"), lease("ben"), True)
        mine = [entry(f"song {number:02}", f"content {number % 20}") for number in range(40)]
        theirs = [entry(f"song {number:02}", f"own {number}") for number in range(0, 40, 10)]
        await store.announce(peer_id("ann"), snapshot(1, mine), MANY)
        await store.announce(peer_id("ben"), snapshot(1, [*theirs, entry("talk", "content 3")]), MANY)
        for size in (1, 3, 7, 100):
            found: list[bytes] = []
            after: tuple[int, int] | None = (0, 0)
            while after is not None:
                page = await store.search("song", after, size, NOW, 5)
                assert len(page.groups) <= size
                found += [group.file_id for group in page.groups]
                after = page.after
            assert len(found) == len(set(found)) == 24
            assert [each for each in found if each in {e.file_id for e in mine}] == [e.file_id for e in mine[:20]]


async def test_search_does_not_miss_a_file_whose_first_name_is_gone(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "song one", until=NOW + 5)
        await store.register(peer_id("ben"), said("ben"), lease("ben"), True)
        await store.announce(peer_id("ben"), snapshot(1, [entry("song two", "song one")]), MANY)
        page = await store.search("song", (0, 0), 10, NOW + 6, 5)
        assert [group.names for group in page.groups] == [("song two",)]


async def test_files_of_a_peer_come_by_name_below_a_prefix_in_pages(opened: Opened) -> None:
    async with opened() as store:
        names = ["docs/a", "docs/b", "docs/é", "docs2", "zoo", "Zoo", "docs", "日本"]
        await join(store, "ann", *names)
        await join(store, "ben", "docs/ben's")
        assert await names_of(store, "ann") == sorted(names)
        below = await store.files_of(peer_id("ann"), "docs/", "", 10, NOW)
        assert [each.name for each in below] == ["docs/a", "docs/b", "docs/é"]
        page = await store.files_of(peer_id("ann"), "docs/", "docs/a", 1, NOW)
        assert page == [entry("docs/b")]
        with pytest.raises(UnknownPeer):
            await store.files_of(peer_id("stranger"), "", "", 1, NOW)


async def test_counts_below_a_folder(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "docs/a", "docs/b/c", "docs2/d", "docs")
        await join(store, "ben", "other")
        await store.announce(peer_id("ann"), part(0, 9, [entry("docs/a"), entry("docs/hidden")]), MANY)
        assert await store.counts_below("docs/", NOW) == {peer_id("ann"): (2, 20)}


async def test_sweeping_forgets_gone_peers_and_changes_no_answer(opened: Opened) -> None:
    async with opened() as store:
        await join(store, "ann", "a", "shared", until=NOW + 1)
        await join(store, "ben", "b", "shared", until=NOW + 900)
        await store.sweep(NOW + 2, NOW - 600)
        assert await store.member(peer_id("ann")) is not None
        while await store.sweep(NOW + 700, NOW + 100):
            pass
        assert await store.member(peer_id("ann")) is None
        assert await named(store, "shared", NOW + 700) == [("shared", {"ben"})]
        assert [m.peer.name for m in await store.members(NOW + 700)] == ["ben"]
        member = await store.register(peer_id("ann"), said("ann", (epoch("1"), 1)), lease("ann", until=NOW + 999), True)
        assert member.index.epoch == b""


async def test_verbs_of_many_peers_at_once(opened: Opened) -> None:
    async with opened() as store:
        await asyncio.gather(*(join(store, f"p{number}", "all", f"own {number}") for number in range(50)))
        [[group]] = await store.holders_of([Query("name", "all")], 64, NOW)
        assert group.holder_count == 50
        assert len(await store.members(NOW)) == 50
