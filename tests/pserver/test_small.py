"""Reading many small files of the share at once: what is as its row says is given, of the rest it is said why not."""

import os
from pathlib import Path

from pserver.disk.share import Share
from pserver.disk.small import read_small
from pserver.pieces import MIN_PIECE_BYTES, SmallFile
from tests.pserver.share_lab import add, manifest, share_fixture  # noqa: F401

MOST = 1 << 20


def here(content: bytes) -> SmallFile:
    made = manifest(content)
    return SmallFile(made.file_id, "here", made.encode(), content)


def states(share: Share, contents: list[bytes], most: int = MOST) -> list[str]:
    return [file.state for file in read_small(share, [manifest(one).file_id for one in contents], most)]


def test_files_are_read_in_the_order_asked_for(share: Share) -> None:
    contents = {"b/two": b"2", "a": b"one", "b/c/d": b"", "ä/é": b"x" * MIN_PIECE_BYTES, "b/one": b"3"}
    for name, content in contents.items():
        add(share, name, content)
    ids = [manifest(content).file_id for content in contents.values()]
    assert read_small(share, ids, MOST) == [here(content) for content in contents.values()]
    assert read_small(share, ids[::-1], MOST) == [here(content) for content in contents.values()][::-1]


def test_more_files_than_a_statement_takes(share: Share) -> None:
    contents = [str(number).encode() for number in range(1100)]
    for content in contents:
        add(share, f"a/{content.decode()}", content)
    assert states(share, contents) == ["here"] * 1100


def test_what_cannot_be_given_is_told(share: Share) -> None:
    add(share, "large", b"x" * (MIN_PIECE_BYTES + 1))
    add(share, "gone", b"gone")
    add(share, "written", b"before")
    add(share, "linked", b"linked")
    add(share, "in/linked", b"deep")
    add(share, "pipe", b"pipe")
    add(share, "good", b"good")
    suspects: list[bytes] = []
    share.on_suspect(suspects.append)
    root = share.folder.path
    (root / "gone").unlink()
    (root / "written").write_bytes(b"after!")
    (root / "linked").rename(root / "elsewhere")
    (root / "linked").symlink_to("elsewhere")
    (root / "in").rename(root / "out")
    (root / "in").symlink_to("out")
    (root / "pipe").unlink()
    os.mkfifo(root / "pipe")
    contents = [b"x" * (MIN_PIECE_BYTES + 1), b"gone", b"before", b"linked", b"deep", b"pipe", b"never", b"good"]
    told = ["large", "changed", "changed", "changed", "changed", "changed", "gone", "here"]
    assert states(share, contents) == told
    assert sorted(suspects) == [b"gone", b"in/linked", b"linked", b"pipe", b"written"]


def test_a_write_in_the_midst_of_reading_is_seen(share: Share) -> None:
    add(share, "a", b"before")
    real = os.read

    def read(fd: int, count: int) -> bytes:
        (share.folder.path / "a").write_bytes(b"beyond")
        return real(fd, count)

    os.read = read
    try:
        assert states(share, [b"before"]) == ["changed"]
    finally:
        os.read = real


def test_of_several_names_one_that_is_good_will_do(share: Share) -> None:
    for name in ("a", "b", "c"):
        add(share, name, b"same")
    (share.folder.path / "a").unlink()
    (share.folder.path / "b").write_bytes(b"else")
    assert read_small(share, [manifest(b"same").file_id], MOST) == [here(b"same")]


def test_what_does_not_fit_is_for_later_and_so_is_all_after_it(share: Share) -> None:
    contents = [b"a" * 100, b"b" * 1000, b"c"]
    for number, content in enumerate(contents):
        add(share, str(number), content)
    manifest_bytes = len(manifest(b"c").encode())
    assert states(share, contents, 100 + manifest_bytes) == ["here", "later", "later"]
    assert states(share, contents, 1100 + 2 * manifest_bytes) == ["here", "here", "later"]


def test_while_the_share_is_away_nothing_is_given(share: Share) -> None:
    add(share, "a", b"a")
    share.folder.path.rename(share.folder.path.with_name("away"))
    try:
        share.folder.refresh()
    except Exception:
        assert states(share, [b"a"]) == ["changed"]
    else:
        raise AssertionError("the folder is still there")
    Path(share.folder.path.with_name("away")).rename(share.folder.path)
    share.folder.refresh()
    assert states(share, [b"a"]) == ["here"]
