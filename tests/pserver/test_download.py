"""Downloads against real HTTP sources: honest, slow, stalled, lying, dying, partial; crashes and restarts."""

import hashlib
import random
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demo.processes import wait_for
from pserver.exchange.transfer import Wanted
from pserver.model import Conflict, InvalidRequest, NoRoom, NotFound, Peer
from pserver.pieces import MIN_PIECE_BYTES
from tests.pserver.download_lab import QUICK, Lab
from tests.pserver.fake_source import Asked, Behaviour, FakeSource, manifest_of

PIECE = MIN_PIECE_BYTES


def content_of(pieces: float, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(int(pieces * PIECE))


def wanted(content: bytes, name: str = "a.bin", **more: object) -> Wanted:
    manifest = manifest_of(content)
    return Wanted(name, manifest.file_id, manifest.size, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("pieces", [0, 0.1, 1, 1.5, 8, 20.25])
def test_a_file_is_downloaded_and_shared(tmp_path: Path, pieces: float) -> None:
    content = content_of(pieces)
    with FakeSource("b", content) as source, Lab(tmp_path) as lab:
        started = lab.downloads.start("a.bin", [wanted(content)], hints=[source.peer])
        view = lab.wait(started.id, "done", "failed")
        assert view.error is None
        assert (tmp_path / "share" / "a.bin").read_bytes() == content
        assert lab.partials() == []
        assert (view.bytes_done, view.bytes_total, view.files_done) == (len(content), len(content), 1)
        assert view.items[0].final_name == "a.bin"
        assert lab.share.by_name("a.bin") is not None
        assert max(source.asked.pieces.values(), default=1) == 1, "no piece is fetched twice"


def test_two_sources_share_the_work(tmp_path: Path) -> None:
    content = content_of(40)
    slow = Behaviour(rate=4e6)
    with FakeSource("b", content, behaviour=slow) as b, FakeSource("c", content, behaviour=slow) as c:
        with Lab(tmp_path) as lab:
            lab.knows(content, b, c)
            started = lab.downloads.start("a.bin", [wanted(content)])
            lab.wait(started.id, "done")
        assert (tmp_path / "share" / "a.bin").read_bytes() == content
        assert min(sum(b.asked.pieces.values()), sum(c.asked.pieces.values())) > 8
        assert max(b.asked.most_at_once, c.asked.most_at_once) <= 2


@pytest.mark.parametrize(
    "bad",
    [
        Behaviour(die_after=PIECE + 1000),
        Behaviour(stall_after=PIECE + 1000),
        Behaviour(flip=frozenset({-1})),
        Behaviour(flip=frozenset({-1}), flip_after=3 * PIECE),
        Behaviour(wrong_length=True),
        Behaviour(whole_instead=True),
        Behaviour(manifest_garbage=True),
        Behaviour(status=503),
        Behaviour(status=500),
        Behaviour(status=404, code="not-found"),
        Behaviour(status=409, code="changed"),
        Behaviour(status=403, code="refused"),
        Behaviour(status=302),
        Behaviour(has=frozenset({1, 3})),
        Behaviour(has=frozenset()),
        Behaviour(rate=20e3),
    ],
    ids=str,
)
def test_one_bad_source_does_no_harm(tmp_path: Path, bad: Behaviour) -> None:
    content = content_of(12)
    with FakeSource("bad", content, behaviour=bad) as b, FakeSource("good", content) as good, Lab(tmp_path) as lab:
        lab.knows(content, b, good)
        started = lab.downloads.start("a.bin", [wanted(content)])
        view = lab.wait(started.id, "done", "failed")
        assert view.state == "done", view.error
        assert (tmp_path / "share" / "a.bin").read_bytes() == content


def test_most_sources_lie_and_each_wastes_at_most_two_pieces(tmp_path: Path) -> None:
    content = content_of(30)
    liars = [FakeSource(f"liar {n}", content, behaviour=Behaviour(flip=frozenset({-1}), rate=20e6)) for n in range(5)]
    with FakeSource("good", content, behaviour=Behaviour(rate=10e6)) as good, Lab(tmp_path) as lab:
        for liar in liars:
            liar.__enter__()
        lab.knows(content, *liars, good)
        started = lab.downloads.start("a.bin", [wanted(content)])
        view = lab.wait(started.id, "done", "failed")
        for liar in liars:
            liar.die()
            assert sum(liar.asked.pieces.values()) <= 2
        assert view.state == "done", view.error
        assert (tmp_path / "share" / "a.bin").read_bytes() == content


def test_a_file_that_is_wrong_everywhere_fails_and_says_why(tmp_path: Path) -> None:
    content = content_of(3)
    liar = Behaviour(flip=frozenset({2}))
    b, c = (FakeSource(name, content, behaviour=liar) for name in "bc")
    with b, c, Lab(tmp_path) as lab:
        lab.knows(content, b, c)
        started = lab.downloads.start("a.bin", [wanted(content)])
        view = lab.wait(started.id, "failed")
        assert view.error is not None
        assert "wrong piece" in view.error[1]
        assert lab.names() == []
        assert b.asked.pieces[2] + c.asked.pieces[2] <= 4


def test_a_source_killed_midway_is_replaced_by_one_that_is_looked_up(tmp_path: Path) -> None:
    content = content_of(20)
    b, c, own = (
        FakeSource("b", content, behaviour=Behaviour(rate=2e6)),
        FakeSource("c", content),
        FakeSource("own", content),
    )
    with b, c, own:
        with Lab(tmp_path) as lab:
            started = lab.downloads.start("a.bin", [wanted(content)], hints=[b.peer])
            lab.until(lambda: lab.downloads.view(started.id), lambda view: view.bytes_done >= 2 * PIECE)
            b.die()
            lab.until(lambda: lab.downloads.view(started.id), lambda view: view.standstill is not None)
            own.peer = replace(own.peer, peer_id=lab.peers.peer_id)
            lab.knows(content, own, c)
            lab.wait(started.id, "done")
        assert (tmp_path / "share" / "a.bin").read_bytes() == content
        assert own.asked == Asked(), "this peer itself is no source"
        assert sum(c.asked.pieces.values()) < 20, "what b sent was kept"


def test_a_source_that_is_slow_all_the_time_does_not_stall(tmp_path: Path) -> None:
    """In the time after which silence is a stall only a part of a piece comes: it is seen to come."""
    content = content_of(2)
    with FakeSource("b", content, behaviour=Behaviour(rate=2e5)) as source, Lab(tmp_path) as lab:
        file_id = lab.knows(content, source)
        lab.wait(lab.downloads.start("a", [Wanted("a", file_id, len(content))]).id, "done")
        assert sum(source.asked.pieces.values()) == 2, "no piece was asked for again"


def test_without_any_source_it_fails_after_its_patience_and_can_be_resumed(tmp_path: Path) -> None:
    content = content_of(4)
    with FakeSource("b", content) as b, Lab(tmp_path) as lab:
        started = lab.downloads.start("a.bin", [wanted(content)])
        waiting = lab.until(lambda: lab.downloads.view(started.id), lambda view: view.standstill is not None)
        assert waiting.standstill == "no source has the file now"
        failed = lab.wait(started.id, "failed")
        assert failed.error is not None
        assert failed.error[0] == "unavailable"
        lab.knows(content, b)
        lab.downloads.resume(started.id)
        lab.wait(started.id, "done")


def test_the_pieces_of_two_partial_sources_make_a_whole(tmp_path: Path) -> None:
    content = content_of(8)
    even, odd = frozenset(range(0, 8, 2)), frozenset(range(1, 8, 2))
    b, c = (FakeSource("b", content, behaviour=Behaviour(has=has)) for has in (even, odd))
    with b, c, Lab(tmp_path) as lab:
        lab.knows(content, b, c, partial=True)
        started = lab.downloads.start("a.bin", [wanted(content)])
        lab.wait(started.id, "done")
        assert (frozenset(b.asked.pieces), frozenset(c.asked.pieces)) == (even, odd)


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    content = content_of(1)
    with FakeSource("b", content) as source, Lab(tmp_path) as lab:
        (tmp_path / "share" / "a.bin").write_bytes(b"another")
        started = lab.downloads.start("a.bin", [wanted(content)], hints=[source.peer])
        view = lab.wait(started.id, "done")
        assert view.items[0].final_name == "a (2).bin"
        assert (tmp_path / "share" / "a.bin").read_bytes() == b"another"


def test_what_the_share_has_is_not_fetched_again(tmp_path: Path) -> None:
    content = content_of(2)
    with FakeSource("b", content) as source, Lab(tmp_path) as lab:
        first = lab.downloads.start("a.bin", [wanted(content)], hints=[source.peer])
        lab.wait(first.id, "done")
        asked = source.asked.requests
        again = lab.downloads.start("b.bin", [wanted(content, "b.bin")], hints=[source.peer])
        assert again.state == "done"
        assert lab.downloads.view(again.id).items[0].final_name == "a.bin"
        assert source.asked.requests == asked


def test_a_folder_gets_every_name_and_fetches_each_content_once(tmp_path: Path) -> None:
    contents = [content_of(0.2, seed) for seed in range(20)]
    names = {f"docs/{number:03d}/f.bin": contents[number % 20] for number in range(60)}
    with FakeSource("b", *contents) as source, Lab(tmp_path) as lab:
        items = [wanted(content, name) for name, content in names.items()]
        started = lab.downloads.start("docs/", items, hints=[source.peer], tree=True)
        view = lab.wait(started.id, "done", "failed")
        assert view.error is None
        assert lab.names() == sorted(names)
        assert all((tmp_path / "share" / name).read_bytes() == content for name, content in names.items())
        assert view.files_done == 60
        assert source.asked.requests == 20


def test_files_that_cannot_be_had_do_not_stop_the_others_of_a_folder(tmp_path: Path) -> None:
    have, lack = content_of(1, 1), content_of(1, 2)
    with FakeSource("b", have) as source, Lab(tmp_path) as lab:
        items = [wanted(lack, "docs/lack"), wanted(have, "docs/have")]
        started = lab.downloads.start("docs/", items, hints=[source.peer], tree=True)
        view = lab.wait(started.id, "failed")
        assert lab.names() == ["docs/have"]
        assert view.error is not None
        assert "1 of 2 files failed" in view.error[1]
        assert [item.state for item in view.items] == ["failed", "done"]


def test_a_peer_found_dead_is_asked_last_for_the_other_files(tmp_path: Path) -> None:
    contents = [content_of(0.1, seed) for seed in range(30)]
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections, answers nothing
    dead = Peer("ab" * 32, "dead", f"http://127.0.0.1:{silent.getsockname()[1]}")
    lab = Lab(tmp_path, limits=replace(QUICK, files=1), stall_seconds=0.3)
    with silent, FakeSource("good", *contents) as good, lab:
        items = [wanted(content, f"docs/{number}") for number, content in enumerate(contents)]
        started = lab.downloads.start("docs/", items, hints=[dead, good.peer], tree=True)
        lab.wait(started.id, "done")
        silent.settimeout(0)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()  # not each file waited for it


def test_a_wanted_sha256_decides_and_the_next_candidate_is_tried(tmp_path: Path) -> None:
    right, wrong = content_of(2, 1), content_of(2, 2)
    sha256 = hashlib.sha256(right).digest()
    lie = manifest_of(wrong, sha256)
    with FakeSource("b", right) as source, Lab(tmp_path) as lab:
        source.offer(wrong, lie)
        lab.knows(right, source)
        item = Wanted("a.bin", lie.file_id, lie.size, sha256, (manifest_of(right).file_id,))
        started = lab.downloads.start("a.bin", [item], hints=[source.peer])
        view = lab.wait(started.id, "done", "failed")
        assert view.state == "done", view.error
        assert (tmp_path / "share" / "a.bin").read_bytes() == right
        shared = lab.share.by_name("a.bin")
        assert shared is not None
        assert shared.sha256_checked


def test_a_wanted_sha256_that_nobody_has_fails(tmp_path: Path) -> None:
    wrong = content_of(2)
    lie = manifest_of(wrong, b"\1" * 32)
    with FakeSource("b") as source, Lab(tmp_path) as lab:
        source.offer(wrong, lie)
        item = Wanted("a.bin", lie.file_id, lie.size, b"\1" * 32)
        started = lab.downloads.start("a.bin", [item], hints=[source.peer])
        view = lab.wait(started.id, "failed")
        assert view.error is not None
        assert view.error[0] == "wrong-content"
        assert (lab.names(), lab.partials()) == ([], [])


def test_no_room_is_said_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab:
        with pytest.raises(NoRoom):
            lab.downloads.start("big", [Wanted("big", b"\1" * 32, 1 << 43)])
        assert (lab.downloads.views(), lab.partials()) == ([], [])
        with pytest.raises(InvalidRequest):
            lab.downloads.start("nothing", [])


def test_a_size_that_a_lookup_got_wrong_is_set_right_by_the_manifest(tmp_path: Path) -> None:
    content = content_of(2)
    with FakeSource("b", content) as source, Lab(tmp_path) as lab:
        item = Wanted("a.bin", manifest_of(content).file_id, 1)
        started = lab.downloads.start("a.bin", [item], hints=[source.peer])
        view = lab.wait(started.id, "done")
        assert (view.bytes_total, view.bytes_done) == (len(content), len(content))


def test_pause_halts_and_resume_goes_on_without_fetching_again(tmp_path: Path) -> None:
    content = content_of(24)
    with FakeSource("b", content, behaviour=Behaviour(rate=4e6)) as source, Lab(tmp_path) as lab:
        started = lab.downloads.start("a.bin", [wanted(content)], hints=[source.peer])
        lab.until(lambda: lab.downloads.view(started.id), lambda view: view.bytes_done >= 3 * PIECE)
        lab.downloads.pause(started.id)
        assert lab.downloads.view(started.id).state == "paused"
        with pytest.raises(Conflict):
            lab.downloads.pause(started.id)
        wait_for("nothing is read any more", lambda: not source.asked.now)  # what begins sooner would come at any speed
        source.behaviour = Behaviour()
        lab.downloads.resume(started.id)
        lab.wait(started.id, "done")
        assert (tmp_path / "share" / "a.bin").read_bytes() == content
        twice = sum(count - 1 for count in source.asked.pieces.values())
        assert twice <= 2, "at most the piece that each connection was at"


def test_cancel_removes_the_partial_and_forgetting_removes_the_record(tmp_path: Path) -> None:
    content = content_of(24)
    with FakeSource("b", content, behaviour=Behaviour(rate=2e6)) as source, Lab(tmp_path) as lab:
        started = lab.downloads.start("a.bin", [wanted(content)], hints=[source.peer])
        lab.until(lambda: lab.downloads.view(started.id), lambda view: view.bytes_done >= PIECE)
        lab.downloads.cancel(started.id)
        assert lab.downloads.view(started.id).state == "cancelled"
        with pytest.raises(Conflict):
            lab.downloads.resume(started.id)
        lab.until(lambda: lab.downloads.view(started.id), lambda _: lab.partials() == [])
        lab.downloads.cancel(started.id)
        with pytest.raises(NotFound):
            lab.downloads.view(started.id)
        assert lab.names() == []


def test_a_stalled_source_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    content = content_of(4)
    with FakeSource("b", content, behaviour=Behaviour(stall_after=1000)) as source, Lab(tmp_path) as lab:
        started = lab.downloads.start("a.bin", [wanted(content)], hints=[source.peer])
        lab.until(lambda: lab.downloads.view(started.id), lambda _: source.asked.requests > 0)
        lab.downloads.stop()
        assert lab.transfers.get(started.id).state == "running", "it goes on at the next start"


def test_transfers_wait_their_turn(tmp_path: Path) -> None:
    contents = [content_of(1, seed) for seed in range(5)]
    hold = threading.Event()
    with FakeSource("b", *contents, behaviour=Behaviour(hold=hold)) as source, Lab(tmp_path) as lab:
        ids = [
            lab.downloads.start(f"{n}", [wanted(content, f"{n}")], hints=[source.peer]).id
            for n, content in enumerate(contents)
        ]
        assert [lab.downloads.view(one).state for one in ids] == ["running"] * 3 + ["queued"] * 2
        hold.set()
        for one in ids:
            lab.wait(one, "done")
        assert len(lab.names()) == 5


def test_a_restart_goes_on_where_a_clean_stop_left_it(tmp_path: Path) -> None:
    content = content_of(24)
    with FakeSource("b", content, behaviour=Behaviour(rate=4e6)) as source:
        with Lab(tmp_path) as lab:
            started = lab.downloads.start("a.bin", [wanted(content)], hints=[source.peer])
            lab.until(lambda: lab.downloads.view(started.id), lambda view: view.bytes_done >= 3 * PIECE)
        source.behaviour = Behaviour()
        (tmp_path / "share" / ".p2p-partial" / ("0" * 64 + "-0badcafe-0")).write_bytes(b"an orphan")
        (tmp_path / "share" / ".p2p-partial" / "of-another-part").write_bytes(b"not ours")
        with Lab(tmp_path) as lab:
            lab.wait(started.id, "done")
            assert [path.name for path in lab.partials()] == ["of-another-part"]
        assert (tmp_path / "share" / "a.bin").read_bytes() == content
        assert sum(count - 1 for count in source.asked.pieces.values()) <= 2


def test_this_peer_itself_is_no_source(tmp_path: Path) -> None:
    content = content_of(1)
    key = Ed25519PrivateKey.generate()
    with FakeSource("b", content) as source, FakeSource("self", content) as own:
        with Lab(tmp_path, key=key) as lab:
            own.peer = replace(own.peer, peer_id=lab.peers.peer_id)
            lab.knows(content, own, source)
            started = lab.downloads.start("a", [wanted(content)], hints=[own.peer])
            lab.wait(started.id, "done")
            assert lab.transfers.get(started.id).hints == ()
        assert own.asked == Asked()
