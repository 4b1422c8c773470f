"""The commands about transfers: transfers, watch."""

import time
from collections.abc import Callable

import pytest

from tests.pclient.conftest import Desk
from tests.pclient.fake_pserver import FakePServer

Seat = Callable[..., Desk]


def test_transfers_are_listed_shown_paused_resumed_cancelled(desk: Desk, fake: FakePServer) -> None:
    fake.step_at_look = None
    desk.run("download", "docs/report.pdf", "--detach")
    desk.run("download", "same.txt", "--detach")
    fake.step("00000001", 0.5)
    desk.run("transfers")
    assert [row[:5] for row in desk.rows][1] == ["00000001", "download", "running", "210000", "420000"]
    assert desk.run("transfers", "pause", "00000001") == 0
    assert fake.transfers["00000001"]["state"] == "paused"
    assert desk.run("transfers", "pause", "00000001") == 1
    assert "error: it is paused: it cannot pause" in desk.said
    assert desk.json("transfers", "resume", "00000001")["state"] == "running"
    fake.transfers["00000001"]["standstill"] = "no source answers; next try in 8 s"
    desk.run("transfers", "00000001")
    assert ["waits", "no source answers; next try in 8 s"] in desk.rows
    fake.transfers["00000001"].update(standstill=None, bottleneck="peer b is slow")
    desk.run("transfers", "00000001")
    assert ["held up by", "peer b is slow"] in desk.rows
    desk.run("transfers")
    assert "peer b is slow" in [row for row in desk.rows if row[0] == "00000001"][-1]
    assert desk.run("transfers", "cancel", "00000001") == 0
    assert fake.transfers["00000001"]["state"] == "cancelled"
    assert desk.run("transfers", "cancel", "00000001") == 0
    assert "had ended and is forgotten" in desk.said


def test_several_transfers_or_all_at_once(desk: Desk, fake: FakePServer) -> None:
    fake.step_at_look = None
    for _ in range(4):
        desk.run("download", "docs/report.pdf", "--detach")
    one, two, three, four = fake.transfers.values()
    assert desk.run("transfers", "pause", one["id"], "ffff") == 3
    assert desk.run("transfers", "pause", one["id"], two["id"], one["id"]) == 0
    assert [transfer["state"] for transfer in (one, two, three)] == ["paused", "paused", "running"]
    assert desk.run("transfers", "pause", one["id"], three["id"]) == 1
    assert "it is paused: it cannot pause" in desk.said
    assert "error: of 2 transfers 1 did not pause" in desk.said
    assert three["state"] == "paused"
    assert [transfer["id"] for transfer in desk.json("transfers", "resume", "all")["transfers"]] == [
        three["id"],
        two["id"],
        one["id"],
    ]
    fake.step(four["id"])
    assert desk.run("transfers", "cancel", "all") == 0
    assert [transfer["state"] for transfer in fake.transfers.values()] == [*["cancelled"] * 3, "done"]
    assert desk.run("transfers", "cancel", "all") == 0
    assert desk.said == "there is nothing to cancel\n"
    assert len(fake.transfers) == 4  # none that has ended is forgotten


def test_of_a_paused_transfer_no_file_is_running(seat: Seat, fake: FakePServer) -> None:
    fake.step_at_look = None
    desk = seat()
    desk.run("download", "docs/report.pdf", "--detach")
    desk.run("transfers", "pause", "00000001")
    desk.run("transfers", "00000001")
    assert "running" not in desk.out.getvalue()
    assert desk.out.getvalue().count("paused") == 2


def test_times_are_local_for_a_person_only(desk: Desk, seat: Seat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    desk.run("download", "docs/report.pdf")
    desk.run("transfers", "00000001")
    assert ["begun", "2026-01-02T03:04:05Z"] in desk.rows
    person = seat()
    person.run("transfers", "00000001")
    assert "2026-01-02 04:04:05" in person.out.getvalue()
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("words", [["pause"], ["pause", "1", "2"], ["stop", "1"], ["1", "pause"]])
def test_transfers_said_wrongly(desk: Desk, words: list[str]) -> None:
    assert desk.run("transfers", *words) in {2, 3}


def test_a_transfer_that_is_not_there(desk: Desk, fake: FakePServer) -> None:
    for given in ("ffff", "../status", "", "\x1b"):
        assert desk.run("transfers", given) == 3
        assert desk.run("watch", given) == 3
    desk.run("download", "same.txt", "--detach")
    desk.run("download", "docs/report.pdf", "--detach")
    assert desk.run("transfers", "0000") == 3
    assert "more than one" in desk.said


def test_watch_waits_for_the_end(desk: Desk, fake: FakePServer) -> None:
    fake.step_at_look = None
    desk.run("download", "docs/report.pdf", "--detach")
    desk.clock.events = [lambda: fake.step("00000001")]
    assert desk.run("watch", "00000001") == 0
    assert "is done" in desk.said
