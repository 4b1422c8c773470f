"""Many small files at once, against real HTTP sources: honest, lying, dying, stalled, refusing."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pserver.exchange.transfer import Wanted
from pserver.pieces import SmallFile
from tests.pserver.download_lab import QUICK, Lab
from tests.pserver.fake_bundler import FakeBundler, Twist, drop_last, flip, half, one_more, swap
from tests.pserver.fake_source import FakeSource, manifest_of
from tests.pserver.test_download import content_of, wanted

CONTENTS = [content_of(0.05, seed) for seed in range(40)]


def names_of(contents: list[bytes]) -> dict[str, bytes]:
    return {f"docs/{number % 3}/{number:03d}.bin": content for number, content in enumerate(contents)}


def items_of(names: dict[str, bytes]) -> list[Wanted]:
    return [wanted(content, name) for name, content in names.items()]


def check(lab: Lab, transfer_id: str, names: dict[str, bytes]) -> None:
    """That the transfer ends well, with these files and nothing else."""
    view = lab.wait(transfer_id, "done", "failed")
    assert view.state == "done", view.error
    root = lab.root / "share"
    assert lab.names() == sorted(names)
    assert all((root / name).read_bytes() == content for name, content in names.items())
    assert lab.partials() == []
    assert (view.files_done, view.bytes_done) == (len(names), sum(map(len, names.values())))
    assert view.bytes_total == view.bytes_done
    assert [item.final_name for item in view.items] == [item.name for item in view.items]
    indexed = lab.share.by_names(names)
    assert {name: row.file_id for name, row in indexed.items()} == {
        name: manifest_of(content).file_id for name, content in names.items()
    }


def test_a_folder_of_small_files_comes_in_one_request_and_without_a_lookup(tmp_path: Path) -> None:
    names = names_of(CONTENTS)
    with FakeBundler("b", *CONTENTS) as source, Lab(tmp_path) as lab:
        started = lab.downloads.start("docs/", items_of(names), hints=[source.peer], tree=True)
        check(lab, started.id, names)
        assert [len(ids) for ids in source.bundles] == [40]
        assert source.asked.calls == 0
        assert lab.lookups == 0
        assert lab.share.unchecked(1) == [], "their sha256 was checked while they were in memory"
        [gave] = lab.downloads.view(started.id).sources
        assert (gave.peer, gave.pieces, gave.errors) == (source.peer, 40, 0)


def test_large_files_small_ones_empty_ones_and_doubles_come_together(tmp_path: Path) -> None:
    contents = [*CONTENTS[:10], b"", content_of(2.5, 99), content_of(1, 98), CONTENTS[3], b"", CONTENTS[4]]
    names = names_of(contents)
    with FakeBundler("b", *contents) as source, Lab(tmp_path) as lab:
        started = lab.downloads.start("docs/", items_of(names), hints=[source.peer], tree=True)
        check(lab, started.id, names)
        assert sorted(map(len, source.bundles)) == [12], "the one of a piece too, each content once"
        assert source.asked.manifests == 1


def test_more_than_one_bundle_can_have_come_in_several(tmp_path: Path) -> None:
    contents = [bytes([number % 256, number // 256]) * 3 for number in range(1200)]
    names = {f"d/{number:04d}": content for number, content in enumerate(contents)}
    with FakeBundler("b", *contents) as source, Lab(tmp_path) as lab:
        started = lab.downloads.start("d/", items_of(names), hints=[source.peer], tree=True)
        check(lab, started.id, names)
        assert sorted(map(len, source.bundles)) == [176, 512, 512]


def test_a_bundle_has_a_bounded_size(tmp_path: Path) -> None:
    contents = [content_of(0.9, seed) for seed in range(40)]
    names = names_of(contents)
    with FakeBundler("b", *contents) as source, Lab(tmp_path) as lab:
        started = lab.downloads.start("docs/", items_of(names), hints=[source.peer], tree=True)
        check(lab, started.id, names)
        assert max(map(len, source.bundles)) == 17
        assert len(source.bundles) == 3


@pytest.mark.parametrize("twist", [flip, swap, drop_last, one_more])
def test_a_liar_does_no_harm_and_is_not_asked_again(tmp_path: Path, twist: Twist) -> None:
    names = names_of(CONTENTS)
    with FakeBundler("bad", *CONTENTS) as bad, FakeBundler("good", *CONTENTS) as good, Lab(tmp_path) as lab:
        bad.twist = twist
        for content in CONTENTS:
            lab.knows(content, bad, good)
        started = lab.downloads.start("docs/", items_of(names), hints=[bad.peer], tree=True)
        check(lab, started.id, names)
        assert len(bad.bundles) == 1
        assert bad.asked.calls == 0
        engine = lab.downloads._engine
        assert engine.bans.banned(bad.peer.peer_id, engine.clock())
        assert len(good.bundles) <= 1


@pytest.mark.parametrize(
    "bad",
    [
        {"die_after": 0},
        {"die_after": 5},
        {"die_after": 300_000},
        {"stall_after": 300_000},
        {"told": 1},
        {"told": 1 << 30},
        {"told": -1},
        {"denies": True},
        {"refuse_bundles": 404},
        {"refuse_bundles": 401},
        {"refuse_bundles": 503},
        {"refuse_bundles": 500},
        {"refuse_bundles": 302},
    ],
    ids=str,
)
def test_one_bad_source_is_made_up_for_by_another(tmp_path: Path, bad: dict[str, int]) -> None:
    names = names_of(CONTENTS)
    with FakeBundler("bad", *CONTENTS) as source, FakeBundler("good", *CONTENTS) as good, Lab(tmp_path) as lab:
        for attribute, value in bad.items():
            setattr(source, attribute, value)
        for content in CONTENTS:
            lab.knows(content, source, good)
        started = lab.downloads.start("docs/", items_of(names), hints=[source.peer], tree=True)
        check(lab, started.id, names)
        assert lab.lookups == 1, "one for all of them"
        assert len(good.bundles) == 1
        if 300_000 in bad.values():
            assert 40 - 300_000 // len(CONTENTS[0]) <= len(good.bundles[0]) < 40, "what had come was kept"


def test_a_peer_that_knows_no_bundles_gives_the_files_one_by_one(tmp_path: Path) -> None:
    names = names_of(CONTENTS)
    with FakeSource("old", *CONTENTS) as source, Lab(tmp_path) as lab:
        started = lab.downloads.start("docs/", items_of(names), hints=[source.peer], tree=True)
        check(lab, started.id, names)
        assert source.asked.requests == 40


def test_an_answer_that_was_full_is_gone_on_with(tmp_path: Path) -> None:
    names = names_of(CONTENTS)
    with FakeBundler("b", *CONTENTS) as source, Lab(tmp_path) as lab:
        source.twist = half
        started = lab.downloads.start("docs/", items_of(names), hints=[source.peer], tree=True)
        check(lab, started.id, names)
        assert [len(ids) for ids in source.bundles] == [40, 20, 10, 5, 2, 1]


def test_each_holder_is_asked_for_what_it_has(tmp_path: Path) -> None:
    names = names_of(CONTENTS)
    with FakeBundler("b", *CONTENTS[:30]) as b, FakeBundler("c", *CONTENTS[30:]) as c, Lab(tmp_path) as lab:
        for number, content in enumerate(CONTENTS):
            lab.knows(content, b if number < 30 else c)
        started = lab.downloads.start("docs/", items_of(names), tree=True)
        check(lab, started.id, names)
        assert [len(ids) for ids in b.bundles] == [30]
        assert [len(ids) for ids in c.bundles] == [10]


def test_a_name_that_is_taken_gets_a_number_and_nothing_is_replaced(tmp_path: Path) -> None:
    names = names_of(CONTENTS[:4])
    with FakeBundler("b", *CONTENTS) as source, Lab(tmp_path) as lab:
        taken = tmp_path / "share" / "docs/0/000.bin"
        taken.parent.mkdir(parents=True)
        taken.write_bytes(b"mine")
        (tmp_path / "share" / "docs/1").write_bytes(b"a file where a folder should be")
        started = lab.downloads.start("docs/", items_of(names), hints=[source.peer], tree=True)
        view = lab.wait(started.id, "done", "failed")
        assert [item.final_name for item in view.items] == [
            "docs/0/000 (2).bin", "docs/1 (2)/001.bin", "docs/2/002.bin", "docs/0/003.bin",
        ]  # fmt: skip
        assert taken.read_bytes() == b"mine"


def test_what_the_share_has_is_copied_or_left_and_not_fetched(tmp_path: Path) -> None:
    names = names_of(CONTENTS[:6])
    with FakeBundler("b", *CONTENTS) as source, Lab(tmp_path) as lab:
        first = lab.downloads.start("docs/", items_of(names), hints=[source.peer], tree=True)
        check(lab, first.id, names)
        more = {f"copy/{name}": content for name, content in names.items()}
        again = lab.downloads.start("copy/", items_of(more | names), hints=[source.peer], tree=True)
        lab.wait(again.id, "done")
        assert lab.names() == sorted(names | more)
        assert len(source.bundles) == 1
        source.offer(content_of(0.1, 77))
        alone = [*items_of(names), wanted(content_of(0.1, 77), "new.bin")]
        loose = lab.downloads.start("files", alone, hints=[source.peer])
        lab.wait(loose.id, "done")
        assert lab.names() == sorted([*names, *more, "new.bin"]), "outside a folder any name will do"


def test_a_file_of_another_size_than_announced_comes_all_the_same(tmp_path: Path) -> None:
    names = names_of(CONTENTS)
    items = items_of(names)
    items[5] = replace(items[5], size=items[5].size - 1)
    with FakeBundler("b", *CONTENTS) as source, Lab(tmp_path) as lab:
        started = lab.downloads.start("docs/", items, hints=[source.peer], tree=True)
        check(lab, started.id, names)


def test_a_sha256_that_is_claimed_and_wrong_is_not_believed(tmp_path: Path) -> None:
    lie = manifest_of(CONTENTS[0], sha256=b"\7" * 32)
    items = [Wanted("a", lie.file_id, lie.size), wanted(CONTENTS[1], "b")]
    with FakeBundler("b", CONTENTS[1]) as source, Lab(tmp_path) as lab:
        source.offer(CONTENTS[0], lie)
        started = lab.downloads.start("docs/", items, hints=[source.peer], tree=True)
        lab.wait(started.id, "done")
        assert [row.name for row in lab.share.unchecked(9)] == ["a"]


def test_a_pause_ends_a_bundle_that_stands_still_at_once(tmp_path: Path) -> None:
    names = names_of(CONTENTS)
    with FakeBundler("b", *CONTENTS) as source, Lab(tmp_path, stall_seconds=30) as lab:
        source.stall_after = 200_000
        started = lab.downloads.start("docs/", items_of(names), hints=[source.peer], tree=True)
        lab.until(lambda: lab.downloads.view(started.id), lambda view: view.bytes_done > 0)
        began = time.monotonic()
        lab.downloads.pause(started.id)
        lab.until(lambda: lab.downloads.view(started.id), lambda _: not lab.downloads._jobs)
        assert time.monotonic() - began < 2
        source.stall_after = None
        lab.downloads.resume(started.id)
        check(lab, started.id, names)


def test_a_cancel_leaves_nothing_behind(tmp_path: Path) -> None:
    names = names_of(CONTENTS)
    with FakeBundler("b", *CONTENTS) as source, Lab(tmp_path, stall_seconds=30) as lab:
        source.stall_after = 200_000
        started = lab.downloads.start("docs/", items_of(names), hints=[source.peer], tree=True)
        lab.until(lambda: lab.downloads.view(started.id), lambda view: view.bytes_done > 0)
        lab.downloads.cancel(started.id)
        lab.until(lambda: lab.downloads.view(started.id), lambda _: not lab.downloads._jobs)
        assert lab.partials() == []


def test_a_bundle_that_takes_too_long_is_cut_off_and_the_others_are_found(tmp_path: Path) -> None:
    names = names_of(CONTENTS)
    limits = replace(QUICK, bundle_seconds=0.3, slow_bundle_seconds=0.1)
    slow, other = FakeBundler("b", *CONTENTS), FakeBundler("c", *CONTENTS)
    slow.stall_after = 200_000
    with slow, other, Lab(tmp_path, limits, stall_seconds=30) as lab:
        for content in CONTENTS:
            lab.knows(content, slow, other)
        started = lab.downloads.start("docs/", items_of(names), hints=[slow.peer], tree=True)
        check(lab, started.id, names)
        assert len(slow.bundles[0]) == 40
        assert len(other.bundles[0]) < 40


def test_without_room_each_file_says_so(tmp_path: Path) -> None:
    names = names_of(CONTENTS)
    with FakeBundler("b", *CONTENTS) as source, Lab(tmp_path) as lab:
        room = lab.folder.free_bytes()
        asked = threading.Event()

        def fill_up(files: list[SmallFile]) -> list[SmallFile]:
            asked.set()
            return files

        lab.folder.free_bytes = lambda: 0 if asked.is_set() else room  # type: ignore[method-assign]
        source.twist = fill_up
        started = lab.downloads.start("docs/", items_of(names), hints=[source.peer], tree=True)
        view = lab.wait(started.id, "failed")
        assert view.error is not None
        assert view.error[0] == "no-room"
        assert all(item.error is not None and "room" in item.error for item in view.items)
        assert (lab.names(), lab.partials()) == ([], [])


def test_two_transfers_of_the_same_files_fetch_them_once(tmp_path: Path) -> None:
    names = names_of(CONTENTS)
    with FakeBundler("b", *CONTENTS) as source, Lab(tmp_path) as lab:
        begun = [
            lab.downloads.start(to, [replace(one, name=to + one.name) for one in items_of(names)],
                                hints=[source.peer], tree=True)
            for to in ("x/", "y/")
        ]  # fmt: skip
        for one in begun:
            assert lab.wait(one.id, "done", "failed").state == "done"
        assert lab.names() == sorted(f"{to}{name}" for to in "xy" for name in [f"/{name}" for name in names])
        assert sum(map(len, source.bundles)) == 40
        assert source.asked.requests == 0
