"""A crash at every step on the way into the share: afterwards the file is there whole, or goes on; never wrong."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pserver.exchange.engine import Engine
from pserver.exchange.fetch import Fetch
from pserver.exchange.landing import Landing
from pserver.exchange.partial import partial_base
from pserver.exchange.progress import Live
from pserver.exchange.transfer import Item, Transfer
from tests.pserver.download_lab import Lab
from tests.pserver.fake_source import Behaviour, FakeSource
from tests.pserver.test_download import PIECE, content_of, wanted


class Crash(BaseException):
    """The process ends here."""


class Steps:
    """Counts the calls of what it wraps, and crashes before the one that is to be the last."""

    def __init__(self, crash_at: int) -> None:
        self.taken: list[str] = []
        self._crash_at = crash_at

    def wrap(self, inner: Any) -> Any:  # stands in for whatever it wraps
        steps = self

        class Wrapped:
            def __getattr__(self, name: str) -> Any:
                found = getattr(inner, name)
                if not callable(found):
                    return found

                def call(*arguments: Any, **named: Any) -> Any:
                    if len(steps.taken) == steps._crash_at:
                        raise Crash(name)
                    steps.taken.append(name)
                    return found(*arguments, **named)

                return call

        return Wrapped()


def engine_of(lab: Lab, steps: Steps) -> Engine:
    folder, share, transfers = steps.wrap(lab.folder), steps.wrap(lab.share), steps.wrap(lab.transfers)
    landing = Landing(folder, share, transfers)
    whole = lab.downloads._engine
    return replace(whole, folder=folder, share=share, transfers=transfers, landing=landing)


def fetch(lab: Lab, steps: Steps, transfer: Transfer, item: Item, source: FakeSource) -> None:
    engine = engine_of(lab, steps)
    Fetch(engine, transfer, item, [source.holder()], live=Live(), stopped=threading.Event()).run()


@pytest.mark.parametrize("crash_at", range(14))
def test_a_crash_at_any_step_is_made_good(tmp_path: Path, crash_at: int) -> None:
    content = content_of(2.5)
    with FakeSource("b", content) as source:
        lab, steps = Lab(tmp_path), Steps(crash_at)
        transfer = lab.transfers.create("download", "a.bin", [wanted(content)], 1.0, hints=[source.peer])
        [item] = lab.transfers.items(transfer.id, -1, 1)
        try:
            fetch(lab, steps, transfer, item, source)
        except Crash as crash:
            steps.taken.append(f"crashed before {crash}")
        for name in lab.names():
            assert (tmp_path / "share" / name).read_bytes() == content, steps.taken
        lab.close()
        with Lab(tmp_path) as again:
            view = again.wait(transfer.id, "done", "failed")
            assert view.error is None, steps.taken
            assert again.names() == ["a.bin"], steps.taken
            assert (tmp_path / "share" / "a.bin").read_bytes() == content
            assert again.partials() == []
            assert view.items[0].final_name == "a.bin"
            assert again.share.by_name("a.bin") is not None
        assert max(source.asked.pieces.values()) == 1, (steps.taken, source.asked)


def test_the_steps_of_the_test_above_are_all_there_are(tmp_path: Path) -> None:
    content = content_of(2.5)
    with FakeSource("b", content) as source:
        lab, steps = Lab(tmp_path), Steps(99)
        transfer = lab.transfers.create("download", "a.bin", [wanted(content)], 1.0)
        [item] = lab.transfers.items(transfer.id, -1, 1)
        fetch(lab, steps, transfer, item, source)
        lab.close()
    assert steps.taken[-4:] == ["begin_placing", "place", "adopt", "end_item"]
    assert len(steps.taken) < 14


def test_a_file_left_with_both_names_keeps_the_final_one(tmp_path: Path) -> None:
    """Where the file system cannot rename without replacing, a crash between link and unlink leaves both."""
    content = content_of(2)
    with FakeSource("b", content) as source:
        lab = Lab(tmp_path)
        steps = Steps(99)
        transfer = lab.transfers.create("download", "a.bin", [wanted(content)], 1.0, hints=[source.peer])
        [item] = lab.transfers.items(transfer.id, -1, 1)
        lab.folder.place = lambda *_: (_ for _ in ()).throw(Crash)  # type: ignore[method-assign]
        with pytest.raises(Crash):
            fetch(lab, steps, transfer, item, source)
        partial = tmp_path / "share" / ".p2p-partial" / partial_base(item.file_id, transfer.id, 0)
        os.link(partial, tmp_path / "share" / "a.bin")
        lab.close()
        with Lab(tmp_path) as again:
            again.wait(transfer.id, "done")
            assert (again.names(), again.partials()) == (["a.bin"], [])


def test_a_stranger_with_the_inode_of_a_lost_partial_is_not_taken_for_it(tmp_path: Path) -> None:
    content = content_of(2)
    with FakeSource("b", content) as source:
        lab = Lab(tmp_path)
        steps = Steps(99)
        transfer = lab.transfers.create("download", "a.bin", [wanted(content)], 1.0, hints=[source.peer])
        [item] = lab.transfers.items(transfer.id, -1, 1)
        lab.folder.place = lambda *_: (_ for _ in ()).throw(Crash)  # type: ignore[method-assign]
        with pytest.raises(Crash):
            fetch(lab, steps, transfer, item, source)
        partial = tmp_path / "share" / ".p2p-partial" / partial_base(item.file_id, transfer.id, 0)
        partial.rename(tmp_path / "share" / "stranger")
        (tmp_path / "share" / "stranger").write_bytes(bytes(len(content)))
        lab.close()
        with Lab(tmp_path) as again:
            again.wait(transfer.id, "done")
            assert again.names() == ["a.bin", "stranger"]
            assert (tmp_path / "share" / "a.bin").read_bytes() == content


def test_killed_again_and_again_it_never_fetches_again_what_it_had_written(tmp_path: Path) -> None:
    """So at most the piece that each connection was at is lost."""
    content, kills = content_of(40), 4
    with FakeSource("b", content, behaviour=Behaviour(rate=8e6)) as source:
        lab = Lab(tmp_path)
        transfer = lab.transfers.create("download", "a.bin", [wanted(content)], 1.0, hints=[source.peer])
        lab.close()
        for kill in range(kills):
            kill_when(tmp_path, transfer, source, (kill + 1) * 7)
            assert not (tmp_path / "share" / "a.bin").exists()
            written = pieces_written(tmp_path, content)
            assert len(written) >= kill * 4, "it goes on, and does not begin again"
            before = source.asked.pieces.copy()
        with Lab(tmp_path) as again:
            again.wait(transfer.id, "done")
        assert (tmp_path / "share" / "a.bin").read_bytes() == content
        assert not written & (source.asked.pieces - before).keys()


def kill_when(root: Path, transfer: Transfer, source: FakeSource, pieces: int) -> None:
    """Let another process go on with the transfer, and kill it when the source was asked for so many pieces."""
    command = [sys.executable, "-m", "tests.pserver.download_victim", str(root), transfer.id]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"resumed\n"
        waiting = threading.Event()
        while len(source.asked.pieces) < pieces and victim.poll() is None:
            waiting.wait(0.002)
        victim.send_signal(signal.SIGKILL)


def pieces_written(root: Path, content: bytes) -> set[int]:
    [partial] = (root / "share" / ".p2p-partial").iterdir()
    found = partial.read_bytes()
    return {at // PIECE for at in range(0, len(content), PIECE) if found[at : at + PIECE] == content[at : at + PIECE]}
