"""What the client says where only a real PServer shows whether it is right."""

from demo.processes import wait_for
from tests.end_to_end.conftest import World
from tests.end_to_end.test_main_job import MIB, make_file


def test_the_peer_api_is_told_from_the_client_api(world: World) -> None:
    a = world.peer("a")
    a.addresses["client"] = a.addresses["peer"]
    for command in (["status"], ["files"], ["search", "x"], ["download", "x"], ["add", "/etc/hostname"]):
        ended = a.client(*command)
        assert (ended.returncode, len(ended.stderr.splitlines())) == (5, 1), ended.stderr
        assert "no client API of a PServer" in ended.stderr


def test_nothing_is_kept_of_what_was_added_but_the_file(world: World) -> None:
    a = world.peer("a")
    original = make_file(world.folder / "big.bin", 9 * MIB)
    ended = a.client("add", str(original))
    assert ended.returncode == 0, ended.stderr
    assert (a.share / "big.bin").read_bytes() == original.read_bytes()
    assert list(a.folder.rglob("tus-*")) == []


def test_a_search_for_more_than_a_page_gets_all(world: World) -> None:
    a = world.peer("a")
    for number in range(230):
        (a.share / f"song {number}").write_text(str(number))
    wait_for("a shares them", lambda: len(a.client("files").stdout.splitlines()) == 230)
    wait_for("they can be found", lambda: len(a.client("search", "song", "--all").stdout.splitlines()) == 230)
    assert len(a.client("search", "song", "--limit", "210").stdout.splitlines()) == 210


def test_what_is_held_already_is_said_to_be_there(world: World) -> None:
    a = world.peer("a")
    (a.share / "LICENSE").write_text("words")
    wait_for("a shares it", lambda: a.client("files").stdout)
    again = a.client("download", "LICENSE")
    assert (again.returncode, again.stderr) == (0, "LICENSE is in your share already\n")
    folder = a.client("remove", "LICENSE/", "--yes")
    assert folder.returncode == 2
    file_id = again.stdout.split()[2]
    short = a.client("info", f"id:{file_id[:12]}")
    assert (short.returncode, "64 digits" in short.stderr) == (2, True)
