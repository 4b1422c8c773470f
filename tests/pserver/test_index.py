"""The index of a share: what it finds and lists, and the order in which it changed."""

import os
import threading
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pserver.disk.folder import stamp_of
from pserver.disk.share import Share
from pserver.model import Changes, FileEntry
from tests.pserver.share_lab import add, manifest, open_share, row_only, share_fixture  # noqa: F401


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("report", ["docs/Report 2024.pdf", "docs/report_final.txt"]),
        ("REP 2024", ["docs/Report 2024.pdf"]),
        ("pdf docs", ["docs/Report 2024.pdf"]),
        ("port", []),
        ("cafe", ["Café/résumé.doc"]),
        ("RESUME cafÉ", ["Café/résumé.doc"]),
        (unicodedata.normalize("NFD", "résumé"), ["Café/résumé.doc"]),
        ("final.txt", ["docs/report_final.txt"]),
        ("日本", ["日本語.txt"]),
        ("txt", ["docs/report_final.txt", "日本語.txt"]),
        ("", []),
        (" */- ", []),
        ('"', []),
        ('report" OR "x', []),
        ("report OR pdf", []),
        ("NEAR(docs)", []),
        ("name:report", []),
        ("\0", []),
    ],
)
def test_search(share: Share, words: str, names: list[str]) -> None:
    for name in ("docs/Report 2024.pdf", "Café/résumé.doc", "docs/report_final.txt", "日本語.txt"):
        share.put_many([row_only(name)])
    assert [file.name for file in share.search(words, 10)] == names


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.text(max_size=30))
def test_no_words_break_the_search(share: Share, words: str) -> None:
    share.search(words.encode(errors="replace").decode(), 10)


def test_search_forgets_and_limits(share: Share) -> None:
    share.put_many([row_only(f"word {number}") for number in range(5)])
    share.forget(["word 0"])
    assert [file.name for file in share.search("word", 2)] == ["word 1", "word 2"]


NAMES = st.lists(st.text(st.sampled_from("ab/\x01é\uffff\U0010ffff"), min_size=1, max_size=5), max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(NAMES, st.text(st.sampled_from("ab/é\U0010ffff"), max_size=2), st.text(st.sampled_from("abé"), max_size=3))
def test_lists_are_by_name_and_paged(share: Share, names: list[str], prefix: str, after: str) -> None:
    share.forget([file.name for file in share.files("", "", 1000)])
    share.put_many([row_only(name) for name in names])
    everything = sorted(set(names), key=str.encode)
    expected = [name for name in everything if name.startswith(prefix) and name.encode() > after.encode()]
    assert [file.name for file in share.files(prefix, after, 1000)] == expected
    assert [file.name for file in share.files(prefix, after, 2)] == expected[:2]
    paged: list[str] = []
    while page := share.snapshot(paged[-1] if paged else "", 3):
        paged += [entry.name for entry in page]
    assert paged == everything


def test_known_below_a_folder(share: Share) -> None:
    share.put_many([row_only(name) for name in ("a/x", "a/b/y", "a", "a.txt", "a0", "b/x")])
    assert sorted(share.known(b"a")) == [b"a/b/y", b"a/x"]
    assert len(share.known()) == 6


# Changes


def test_sequences_count_what_others_are_told(share: Share) -> None:
    assert share.sequence == 0
    file = add(share, "a")
    assert (file.sequence, share.sequence) == (1, 1)
    os.utime(share.folder.path / "a")
    touched = stamp_of((share.folder.path / "a").stat())
    share.put("a", b"a", touched, manifest(b"x"), True)
    assert share.sequence == 1
    assert share.known() == {b"a": touched}
    share.forget(["a", "missing"])
    assert share.sequence == 2
    share.forget(["a"])
    assert share.sequence == 2


def test_changes_since(share: Share) -> None:
    assert share.changes_since(0, 10) == Changes(0, [], [])
    a, b = add(share, "a"), add(share, "b")
    share.forget(["a"])
    c = add(share, "c")
    everything = share.changes_since(0, 10)
    assert everything == Changes(4, [b.entry(), c.entry()], ["a"])
    first = share.changes_since(0, 2)
    assert first == Changes(3, [b.entry()], ["a"])
    assert share.changes_since(3, 2) == Changes(4, [c.entry()], [])
    again = add(share, "a", b"new")
    assert share.changes_since(2, 10) == Changes(5, [c.entry(), again.entry()], [])
    assert share.changes_since(5, 10) == Changes(5, [], [])
    assert share.changes_since(6, 10) is None
    assert a.sequence == 1


def test_forgotten_removals_need_a_snapshot(tmp_path: Path) -> None:
    share = open_share(tmp_path, reach=3)
    share.put_many([row_only(str(number)) for number in range(5)])
    share.forget(["0"])
    assert share.changes_since(0, 10) is not None
    share.forget(["1", "2", "3", "4"])
    assert share.changes_since(6, 10) is None
    changes = share.changes_since(7, 10)
    assert changes is not None
    assert changes.removed == ["2", "3", "4"]
    share.close()
    share.folder.close()


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abcd"), st.sampled_from([b"", b"1", b"22"])),
        st.tuples(st.just("forget"), st.sampled_from("abcd"), st.just(b"")),
        st.tuples(st.just("follow"), st.just(""), st.just(b"")),
    ),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(ACTIONS, st.integers(1, 4))
def test_who_follows_the_changes_ends_where_the_share_is(
    share: Share, actions: list[tuple[str, str, bytes]], limit: int
) -> None:
    at = share.sequence
    followed = {entry.name: entry for entry in share.snapshot("", 1000)}
    for what, name, content in [*actions, *[("follow", "", b"")] * (len(actions) + 1)]:
        if what == "put":
            share.put_many([row_only(name, content)])
        elif what == "forget":
            share.forget([name])
        else:
            changes = share.changes_since(at, limit)
            assert changes is not None
            assert len(changes.added) + len(changes.removed) <= limit
            at = changes.sequence
            for removed in changes.removed:
                followed.pop(removed, None)
            followed |= {entry.name: entry for entry in changes.added}
    assert at == share.sequence
    assert followed == {entry.name: entry for entry in share.snapshot("", 1000)}


def test_listeners_hear_of_growth_only_and_outside_locks(share: Share) -> None:
    heard: list[int] = []
    share.on_change(lambda: heard.append(share.sequence))
    add(share, "a")
    share.put_many([])
    share.forget(["missing"])
    in_other_thread(lambda: share.forget(["a"]))
    assert heard == [1, 2]


def in_other_thread(action: Callable[[], object]) -> None:
    thread = threading.Thread(target=action)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_threads_share_it(share: Share) -> None:
    def work(letter: str) -> None:
        for number in range(20):
            share.put_many([row_only(f"{letter}{number}")])
            assert share.by_name(f"{letter}{number}") is not None
            share.search(letter, 5)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert share.totals()[0] == share.sequence == 80
    assert len({file.sequence for file in share.files("", "", 100)}) == 80


def test_many_rows_at_once_are_what_they_are_one_by_one(share: Share, tmp_path: Path) -> None:
    """New names go in with a few statements, known ones and doubles one by one: nobody can tell."""
    (tmp_path / "alone").mkdir()
    alone = open_share(tmp_path / "alone")
    rows = [row_only(f"d/{number}", b"%d" % (number % 400)) for number in range(1203)]
    again = [row_only("d/7", b"other"), row_only("d/7", b"third"), row_only("d/8", b"8"), row_only("new"), rows[9]]
    for one in (share, alone):
        one.put_many([row_only("d/5", b"before"), row_only("d/6", b"6"), row_only("gone")])
        one.forget(["gone", "d/5"])
    share.put_many(rows)
    share.put_many(again)
    for row in [*rows, *again]:
        alone.put_many([row])
    names = [row.name for row in [*rows, *again]]
    found, expected = share.by_names(names), alone.by_names(names)
    assert {name: row.entry() for name, row in found.items()} == {name: row.entry() for name, row in expected.items()}
    assert len({row.sequence for row in found.values()}) == len(found)
    changes = share.changes_since(0, 9999)
    assert changes is not None
    assert {entry.name for entry in changes.added} == set(names)
    assert (changes.sequence, changes.removed) == (share.sequence, ["gone"])
    assert share.totals() == alone.totals()
    assert [file.name for file in share.search("new", 9)] == ["new"]
    for row in rows:
        assert share.manifest(row.manifest.file_id) == alone.manifest(row.manifest.file_id)
    alone.close()
    alone.folder.close()


def test_a_partial_is_announced_and_withdrawn_in_the_order_of_the_sequences(share: Share) -> None:
    entry = FileEntry("new.bin", b"n" * 32, 5, b"s" * 32, False, partial=True)
    before = share.sequence
    share.announce_partial(entry)
    assert share.changes_since(before, 10) == Changes(before + 1, [entry], [])
    assert entry in share.snapshot("", 100)
    assert share.by_name("new.bin") is None and share.totals()[0] == 0
    share.withdraw_partial(b"n" * 32)
    assert share.changes_since(before, 10) == Changes(before + 2, [], ["new.bin"])
    assert share.snapshot("", 100) == []


def test_a_partial_that_lands_under_its_name_is_replaced_by_the_file(share: Share) -> None:
    entry = FileEntry("new.bin", b"n" * 32, 5, b"s" * 32, False, partial=True)
    share.announce_partial(entry)
    before = share.sequence
    add(share, "new.bin", b"content")
    share.withdraw_partial(b"n" * 32)
    changes = share.changes_since(before, 10)
    assert changes is not None and changes.removed == []
    assert [(one.name, one.partial) for one in changes.added] == [("new.bin", False)]
    assert [one.partial for one in share.snapshot("", 100)] == [False]


def test_a_partial_never_takes_the_name_of_a_file(share: Share) -> None:
    add(share, "old.bin", b"content")
    before = share.sequence
    share.announce_partial(FileEntry("old.bin", b"n" * 32, 5, b"s" * 32, False, partial=True))
    share.withdraw_partial(b"n" * 32)
    assert share.sequence == before


def test_what_a_process_announced_as_partial_the_next_one_withdraws(tmp_path: Path) -> None:
    share = open_share(tmp_path)
    before = share.sequence
    share.announce_partial(FileEntry("new.bin", b"n" * 32, 5, b"s" * 32, False, partial=True))
    share.close()
    again = open_share(tmp_path)
    assert again.changes_since(before, 10) == Changes(before + 2, [], ["new.bin"])
    again.close()
