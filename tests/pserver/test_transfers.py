"""Transfers as they are kept: states by the table, progress that adds up, the last hundred, a broken file."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserver.exchange.item_rows import Written
from pserver.exchange.progress import FileProgress, Live, transfer_view
from pserver.exchange.transfer import ENDED, MOVES, STATES, Recorded, Target, Wanted, check_move
from pserver.exchange.transfers import KEPT_ENDED, Transfers
from pserver.model import Conflict, NotFound, Peer
from pserver.views import SourceView

PEER = Peer("ab" * 32, "b", "http://127.0.0.1:1")
WANTED = [Wanted("docs/a", b"\1" * 32, 100), Wanted("docs/b", b"\2" * 32, 50, b"\3" * 32, (b"\4" * 32, b"\5" * 32))]
KNOWN = Recorded(b"manifest", b"\x80", 0)


@pytest.fixture
def transfers(tmp_path: Path) -> Iterator[Transfers]:
    made = Transfers(tmp_path / "transfers.db")
    yield made
    made.close()


def test_a_transfer_is_kept_as_it_was_made(transfers: Transfers, tmp_path: Path) -> None:
    made = transfers.create("incoming", "docs/", WANTED, 5.0, tree=True, asker="cd" * 32, hints=[PEER])
    transfers.close()
    again = Transfers(tmp_path / "transfers.db")
    assert again.get(made.id) == made
    assert (made.state, made.files_total, made.bytes_total, made.hints) == ("queued", 2, 150, (PEER,))
    items = again.items(made.id, -1, 10)
    assert [(item.name, item.file_id, item.sha256, item.alternatives) for item in items] == [
        (one.name, one.file_id, one.sha256, one.alternatives) for one in WANTED
    ]
    again.close()


@given(st.sampled_from(STATES), st.sampled_from(STATES))
def test_only_moves_of_the_table_are_made(before: str, after: str) -> None:
    if after in MOVES[before]:
        check_move(before, after)
    else:
        with pytest.raises(Conflict):
            check_move(before, after)


@pytest.mark.parametrize("state", ["done", "cancelled"])
def test_what_is_done_or_cancelled_stays_so(transfers: Transfers, state: str) -> None:
    made = transfers.create("download", "a", WANTED, 1.0)
    transfers.move(made.id, "running", 2.0)
    transfers.move(made.id, state, 3.0)
    for after in STATES:
        with pytest.raises(Conflict, match=state):
            transfers.move(made.id, after, 4.0)
    assert transfers.get(made.id).ended == 3.0


def test_a_failure_is_told_and_forgotten_when_it_is_resumed(transfers: Transfers) -> None:
    made = transfers.create("download", "a", WANTED, 1.0)
    transfers.end_item(made.id, 0, None, "no source")
    failed = transfers.move(made.id, "failed", 2.0, ("unavailable", "no source"))
    assert (failed.error, failed.ended) == (("unavailable", "no source"), 2.0)
    assert transfers.failed_items(made.id) == (1, "no source")
    resumed = transfers.move(made.id, "queued", 3.0)
    assert (resumed.error, resumed.ended) == (None, None)
    assert [item.state for item in transfers.open_items(made.id, -1, 9)] == ["queued", "queued"]


def test_progress_adds_up(transfers: Transfers) -> None:
    made = transfers.create("download", "a", WANTED, 1.0)
    transfers.begin_item(made.id, 0, b"\1" * 32, 120, KNOWN)
    assert transfers.get(made.id).bytes_total == 170, "the manifest knows the true size"
    transfers.save_progress(made.id, 0, b"\xc0", 60)
    assert transfers.recorded(made.id, 0) == Recorded(b"manifest", b"\xc0", 0)
    assert transfers.partials() == {(made.id, 0)}
    transfers.begin_placing(made.id, 0, b"\6" * 32, 120, Recorded(b"manifest", b"\xff", 77))
    [placing] = transfers.items(made.id, -1, 1)
    assert (placing.state, placing.file_id) == ("placing", b"\6" * 32), "an alternative may have been taken"
    for _ in range(2):  # told twice it counts once
        transfers.end_item(made.id, 0, "a (2)")
    transfers.end_item(made.id, 1, "b")
    done = transfers.get(made.id)
    assert (done.files_done, done.bytes_done, done.bytes_total) == (2, 170, 170)
    assert transfers.recorded(made.id, 0) is None
    assert transfers.open_items(made.id, -1, 9) == []
    assert transfers.partials() == set()


def test_partials_of_what_was_cancelled_are_of_no_use(transfers: Transfers) -> None:
    made = transfers.create("download", "a", WANTED, 1.0)
    transfers.begin_item(made.id, 0, b"\1" * 32, 100, KNOWN)
    transfers.move(made.id, "cancelled", 2.0)
    assert transfers.partials() == set()


def test_the_last_hundred_that_ended_are_kept_and_all_that_live(transfers: Transfers) -> None:
    live = transfers.create("download", "live", WANTED, 0.0)
    ids = [transfers.create("download", str(n), WANTED, float(n)).id for n in range(KEPT_ENDED + 3)]
    for n, one in enumerate(ids):
        transfers.move(one, "done", 1000.0 + n)
    kept = [transfer.id for transfer in transfers.all()]
    assert kept == [*reversed(ids[3:]), live.id]
    with pytest.raises(NotFound):
        transfers.get(ids[0])
    assert transfers.items(ids[0], -1, 9) == []
    assert transfers.counts() == {"done": KEPT_ENDED, "queued": 1}


def test_a_hundred_thousand_files_can_be_one_transfer(transfers: Transfers) -> None:
    wanted = [Wanted(f"d/{n}", n.to_bytes(32), 1) for n in range(100_000)]
    made = transfers.create("download", "d/", wanted, 1.0, tree=True)
    assert made.files_total == 100_000
    assert [item.number for item in transfers.open_items(made.id, 99_990, 100)] == list(range(99_991, 100_000))


def test_targets_of_an_upload_are_kept(transfers: Transfers) -> None:
    made = transfers.create("upload", "a", WANTED[:1] * 2, 1.0, targets=[PEER])
    assert transfers.targets(made.id) == [Target(PEER)]
    running = Target(PEER, "running", 40, None, "0badcafe")
    transfers.set_target(made.id, running)
    assert transfers.targets(made.id) == [running]
    failed = Target(PEER, "failed", 90, "no room")
    view = transfer_view(made, (), [running, Target(PEER), failed], None, 0.0)
    assert (view.bytes_done, view.bytes_total) == (40, 200)


def test_a_broken_file_is_moved_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "transfers.db"
    path.write_bytes(b"no database at all" * 1000)
    with caplog.at_level(logging.ERROR):
        transfers = Transfers(path)
    assert transfers.all() == []
    assert "broken" in caplog.text
    transfers.close()


def test_ended_states_are_states() -> None:
    assert set(ENDED) < set(STATES)


# --- the live side --------------------------------------------------------------------------------------------------


def progress(number: int, unrecorded: int = 0, standstill: str | None = None, *sources: SourceView) -> FileProgress:
    return FileProgress(number, unrecorded, standstill, sources)


def test_a_view_joins_what_is_recorded_with_what_is_live(transfers: Transfers) -> None:
    made = transfers.create("download", "docs/", WANTED, 1.0)
    transfers.save_progress(made.id, 0, b"", 60)
    live = Live()
    live.file_began(0, lambda _: progress(0, 30, None, SourceView(PEER, "ok", 5.0, 3, 0)))
    live.file_began(1, lambda _: progress(1, 0, "no source", SourceView(PEER, "banned", 1.0, 0, 1, "it lied")))
    live.arrived(1000, 10.0)
    live.arrived(1000, 12.0)
    view = transfer_view(transfers.get(made.id), transfers.items(made.id, -1, 9), (), live, 12.0)
    assert (view.bytes_done, view.bytes_total) == (90, 150)
    assert view.rate == 1000.0
    assert view.eta_seconds == pytest.approx(0.06)
    assert view.standstill is None, "one of the files moves"
    assert view.sources == (SourceView(PEER, "banned", 6.0, 3, 1, "it lied"),)
    assert [item.bytes_done for item in view.items] == [90, 0]


def test_it_stands_still_if_every_file_does(transfers: Transfers) -> None:
    made, live = transfers.create("download", "a", WANTED, 1.0), Live()
    live.file_began(0, lambda _: progress(0, 0, "no source"))
    live.file_began(1, lambda _: progress(1, 0, "peer b is busy"))
    assert transfer_view(made, (), (), live, 0.0).standstill == "no source"
    live.file_ended(0)
    assert transfer_view(made, (), (), live, 0.0).standstill == "peer b is busy"
    live.file_ended(1)
    assert transfer_view(made, (), (), live, 0.0).standstill is None


def test_a_rate_is_that_of_the_last_seconds() -> None:
    live = Live()
    assert live.rate(0.0) == 0.0
    for second in range(20):
        live.arrived(100, float(second))
    assert live.rate(19.0) == pytest.approx(120, abs=21)
    assert live.rate(30.0) == 0.0


def test_items_that_end_together_are_recorded_as_if_one_by_one(transfers: Transfers) -> None:
    wanted = [Wanted(f"d/{number}", bytes([number]) * 32, 10 + number) for number in range(6)]
    transfer_id = transfers.create("download", "d/", wanted, 1.0, tree=True).id
    transfers.begin_item(transfer_id, 1, wanted[1].file_id, 11, KNOWN)
    transfers.save_progress(transfer_id, 1, b"\x80", 5)
    transfers.end_item(transfer_id, 5, "d/5")
    transfers.begin_placing_group(transfer_id, [Written(number, replace(KNOWN, inode=number)) for number in range(4)])
    assert [item.state for item in transfers.items(transfer_id, -1, 9)] == ["placing"] * 4 + ["queued", "done"]
    assert transfers.get(transfer_id).bytes_done == 10 + 11 + 12 + 13 + 15
    assert transfers.recorded(transfer_id, 3) == replace(KNOWN, inode=3)
    for _ in range(2):  # a second time changes nothing
        transfers.end_group(transfer_id, [0, 1, 3, 5], {1: "d/1 (2)"})
    found = transfers.get(transfer_id)
    assert (found.files_done, found.bytes_done) == (4, 61)
    names = [item.final_name for item in transfers.items(transfer_id, -1, 9)]
    assert names[:5] == ["d/0", "d/1 (2)", None, "d/3", None]
    assert transfers.recorded(transfer_id, 0) is None
    assert transfers.partials() == {(transfer_id, 2)}
