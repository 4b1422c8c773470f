"""Who gets a slot: nobody's transfers, wanted twice or standing still, keep others from moving."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from pserver.exchange.transfer import Transfer
from pserver.model import Unavailable
from pserver.views import TransferView
from tests.pserver.download_lab import QUICK, Lab
from tests.pserver.fake_source import Behaviour, FakeSource
from tests.pserver.test_download import PIECE, content_of, wanted

PATIENT = replace(QUICK, patience_seconds=60.0, incoming_patience_seconds=60.0)


def test_offers_of_others_do_not_hold_up_ones_own_downloads(tmp_path: Path) -> None:
    with FakeSource("b", content_of(1)) as source, Lab(tmp_path, PATIENT) as lab:
        for seed in range(2, 12):  # of files that nobody has
            lab.downloads.start("x", [wanted(content_of(1, seed), f"{seed}")], kind="incoming", asker="ab" * 32)
        started = lab.downloads.start("a.bin", [wanted(content_of(1))], hints=[source.peer])
        lab.wait(started.id, "done")


def test_those_that_stand_still_give_their_slots_to_others(tmp_path: Path) -> None:
    with FakeSource("b", content_of(1)) as source, Lab(tmp_path, PATIENT) as lab:
        for seed in range(2, 2 + PATIENT.transfers):
            lab.downloads.start("x", [wanted(content_of(1, seed), f"{seed}")])
        started = lab.downloads.start("a.bin", [wanted(content_of(1))], hints=[source.peer])
        lab.until(lambda: ticked(lab, started.id), lambda view: view.state == "done")


def ticked(lab: Lab, transfer_id: str) -> TransferView:
    lab.downloads.tick()
    return lab.downloads.view(transfer_id)


def test_an_incoming_one_fails_sooner_than_ones_own(tmp_path: Path) -> None:
    limits = replace(QUICK, patience_seconds=60.0, incoming_patience_seconds=0.5)
    with Lab(tmp_path, limits) as lab:
        offered = lab.downloads.start("x", [wanted(content_of(1))], kind="incoming", asker="ab" * 32)
        assert lab.wait(offered.id, "failed").error is not None


def test_what_is_wanted_twice_is_one_transfer(tmp_path: Path) -> None:
    slow = Behaviour(rate=PIECE / 2)
    with FakeSource("b", content_of(2), behaviour=slow) as source, Lab(tmp_path) as lab:
        first = lab.downloads.start("a.bin", [wanted(content_of(2))], hints=[source.peer])
        again = lab.downloads.start("a.bin", [wanted(content_of(2))], hints=[source.peer])
        other_name = lab.downloads.start("b.bin", [wanted(content_of(2), "b.bin")], hints=[source.peer], tree=True)
        assert again.id == first.id
        assert other_name.id != first.id
        lab.downloads.pause(first.id)
        resumed = lab.downloads.start("a.bin", [wanted(content_of(2))], hints=[source.peer])
        assert (resumed.id, resumed.state in {"queued", "running"}) == (first.id, True)


def test_what_is_here_already_is_recorded_once(tmp_path: Path) -> None:
    with FakeSource("b", content_of(1)) as source, Lab(tmp_path) as lab:
        first = lab.downloads.start("a.bin", [wanted(content_of(1))], hints=[source.peer])
        lab.wait(first.id, "done")
        assert lab.downloads.start("a.bin", [wanted(content_of(1))]).id == first.id
        assert len(lab.downloads.views()) == 1


def test_a_paused_one_that_another_overtook_leaves_no_partial_file(tmp_path: Path) -> None:
    content = content_of(8)
    slow, fast = Behaviour(rate=4 * PIECE), Behaviour()
    with (
        FakeSource("b", content, behaviour=slow) as b,
        FakeSource("c", content, behaviour=fast) as c,
        Lab(tmp_path) as lab,
    ):
        first = lab.downloads.start("a.bin", [wanted(content)], hints=[b.peer])
        lab.until(lambda: lab.downloads.view(first.id), lambda view: view.bytes_done > 0)
        lab.downloads.pause(first.id)
        second = lab.downloads.start("b.bin", [wanted(content, "b.bin")], hints=[c.peer])
        lab.wait(second.id, "done")
        assert len(lab.partials()) == 1
        lab.downloads.resume(first.id)
        lab.wait(first.id, "done")
        assert lab.partials() == []


def test_one_that_ended_while_it_waited_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeSource("b", content_of(1)) as source, Lab(tmp_path) as lab:
        ended = lab.downloads.start("a.bin", [wanted(content_of(1))], hints=[source.peer])
        lab.wait(ended.id, "done")
        stale = lab.transfers.get(ended.id)
        listed = lab.transfers.in_states
        monkeypatch.setattr(lab.transfers, "in_states", lambda states: [stale, *listed(states)])
        with FakeSource("c", content_of(1, 2)) as other:
            started = lab.downloads.start("c.bin", [wanted(content_of(1, 2), "c.bin")], hints=[other.peer])
            lab.wait(started.id, "done")


def test_a_record_that_cannot_be_read_for_a_while_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeSource("b", content_of(1)) as source, Lab(tmp_path) as lab:
        listed, unreadable = lab.transfers.in_states, [True]

        def in_states(states: Iterable[str]) -> list[Transfer]:
            if unreadable:
                raise Unavailable("the record cannot be read: too many open files")
            return listed(states)

        monkeypatch.setattr(lab.transfers, "in_states", in_states)
        with pytest.raises(Unavailable):
            lab.downloads.start("a.bin", [wanted(content_of(1))], hints=[source.peer])
        lab.downloads._put_off = True
        lab.downloads.tick()  # by the loop of the process, which must not end by it
        unreadable.clear()
        [waiting] = lab.downloads.views()
        lab.until(lambda: ticked(lab, waiting.id), lambda view: view.state == "done")
