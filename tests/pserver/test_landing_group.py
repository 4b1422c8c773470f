"""A crash at every step on the way of many files into the share: each is there whole, once, or comes again."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from pserver.exchange.bundles import Bundles
from pserver.exchange.landing import Landing
from pserver.exchange.landing_group import GroupLanding
from pserver.exchange.progress import Live
from pserver.exchange.transfer import Transfer
from pserver.model import Unavailable
from tests.pserver.download_lab import Lab
from tests.pserver.fake_bundler import FakeBundler
from tests.pserver.test_bundles import CONTENTS, check, items_of, names_of
from tests.pserver.test_landing import Crash, Steps

NAMES = names_of(CONTENTS[:9])
_STEPS = 8


def bring(lab: Lab, steps: Steps, transfer: Transfer) -> None:
    """All of the transfer's items in one batch, each step counted."""
    folder, share, transfers = steps.wrap(lab.folder), steps.wrap(lab.share), steps.wrap(lab.transfers)
    engine = replace(
        lab.downloads._engine,
        folder=folder,
        share=share,
        transfers=transfers,
        landing=Landing(folder, share, transfers),
        group_landing=GroupLanding(folder, share, transfers),
    )
    Bundles(engine, transfer, Live(), threading.Event()).bring(lab.transfers.items(transfer.id, -1, 100))


def made(lab: Lab, source: FakeBundler) -> Transfer:
    return lab.transfers.create("download", "docs/", items_of(NAMES), 1.0, hints=[source.peer], tree=True)


@pytest.mark.parametrize("crash_at", range(_STEPS))
def test_a_crash_at_any_step_is_made_good(tmp_path: Path, crash_at: int) -> None:
    with FakeBundler("b", *CONTENTS) as source:
        lab, steps = Lab(tmp_path), Steps(crash_at)
        transfer = made(lab, source)
        with pytest.raises(Crash):
            bring(lab, steps, transfer)
        for name in lab.names():
            assert (tmp_path / "share" / name).read_bytes() == NAMES[name], steps.taken
        lab.close()
        with Lab(tmp_path) as again:
            check(again, transfer.id, NAMES)
        placed = "place_group" in steps.taken
        assert len(source.bundles) <= (1 if placed else 2), steps.taken


def test_the_steps_of_the_test_above_are_all_there_are(tmp_path: Path) -> None:
    with FakeBundler("b", *CONTENTS) as source:
        lab, steps = Lab(tmp_path), Steps(99)
        bring(lab, steps, made(lab, source))
        lab.close()
    assert steps.taken[-5:] == ["write_group", "begin_placing_group", "place_group", "put_many", "end_group"]
    assert len(steps.taken) == _STEPS


def test_a_crash_in_the_midst_of_placing_fetches_only_the_rest_again(tmp_path: Path) -> None:
    with FakeBundler("b", *CONTENTS) as source:
        lab, steps = Lab(tmp_path), Steps(_STEPS - 3)
        transfer = made(lab, source)
        with pytest.raises(Crash, match="place_group"):
            bring(lab, steps, transfer)
        for item in lab.transfers.items(transfer.id, -1, 4):
            [partial] = (tmp_path / "share" / ".p2p-partial").glob(f"*-{item.number}")
            (tmp_path / "share" / item.name).parent.mkdir(parents=True, exist_ok=True)
            partial.rename(tmp_path / "share" / item.name)
        lab.close()
        with Lab(tmp_path) as again:
            check(again, transfer.id, NAMES)
        assert [len(ids) for ids in source.bundles] == [9, 5]


def test_a_file_that_was_changed_after_it_was_placed_is_not_taken_for_the_one_that_came(tmp_path: Path) -> None:
    with FakeBundler("b", *CONTENTS) as source:
        lab, steps = Lab(tmp_path), Steps(_STEPS - 2)
        transfer = made(lab, source)
        with pytest.raises(Crash, match="put_many"):
            bring(lab, steps, transfer)
        first = lab.transfers.items(transfer.id, -1, 1)[0].name
        with (tmp_path / "share" / first).open("r+b") as file:
            file.write(b"other")
        lab.close()
        with Lab(tmp_path) as again:
            view = again.wait(transfer.id, "done")
            assert view.items[0].final_name == "docs/0/000 (2).bin"
            assert (tmp_path / "share" / view.items[0].final_name).read_bytes() == CONTENTS[0]


def test_an_index_that_cannot_be_written_does_not_undo_the_download(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise Unavailable("no index now")

    with FakeBundler("b", *CONTENTS) as source, Lab(tmp_path) as lab:
        lab.share.put_many = fail  # type: ignore[method-assign, assignment]
        started = lab.downloads.start("docs/", items_of(NAMES), hints=[source.peer], tree=True)
        assert lab.wait(started.id, "done", "failed").state == "done"
        assert lab.names() == sorted(NAMES)
    assert "not indexed yet" in caplog.text


@pytest.mark.parametrize("step", ["place_group", "end_group"])
def test_what_fails_after_it_was_placed_is_not_placed_twice(tmp_path: Path, step: str) -> None:
    """As when a folder cannot be synced, or the record not be written."""
    with FakeBundler("b", *CONTENTS) as source, Lab(tmp_path) as lab:
        failing = lab.folder if step == "place_group" else lab.transfers
        real, failed = getattr(failing, step), threading.Event()

        def fail_once(*arguments: object) -> object:
            result = real(*arguments)
            if failed.is_set():
                return result
            failed.set()
            raise Unavailable("the disk cannot do that now")

        setattr(failing, step, fail_once)
        started = lab.downloads.start("docs/", items_of(NAMES), hints=[source.peer], tree=True)
        check(lab, started.id, NAMES)
        assert len(source.bundles) == 1


def test_a_partial_folder_that_went_is_an_error_of_each_file(tmp_path: Path) -> None:
    with FakeBundler("b", *CONTENTS) as source, Lab(tmp_path) as lab:
        source.stall_after = 0
        started = lab.downloads.start("docs/", items_of(NAMES), hints=[source.peer], tree=True)
        lab.until(lambda: lab.downloads.view(started.id), lambda _: bool(source.bundles))
        shutil.rmtree(tmp_path / "share" / ".p2p-partial")
        source.stall_after = None
        source.die()
        view = lab.wait(started.id, "failed")
        assert all(item.error for item in view.items)
        (tmp_path / "share" / ".p2p-partial").mkdir()
