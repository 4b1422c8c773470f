"""What dies, hangs, lies or is cut off: the main job goes on, or says what is wrong. Real processes, real kills."""

import socket
from pathlib import Path

from demo.processes import Peer, wait_for
from tests.end_to_end.conftest import Person, World
from tests.end_to_end.proxy import Proxy, flip_a_bit
from tests.end_to_end.test_main_job import MIB, make_file, same

SLOW = str(4 * MIB)  # bytes a second a source sends, so that a test can act in the midst of a download


def _nothing_left(peer: Peer) -> bool:
    return not list((peer.share / ".p2p-partial").iterdir())


def _moved(person: Person, transfer_id: str, at_least: int) -> None:
    wait_for("the download moves", lambda: person.transfer(transfer_id)["bytes_done"] >= at_least)


def test_without_its_neighbour_another_way_is_taken(world: World) -> None:
    a, b = world.peer("a"), world.peer("b", start=False)
    make_file(b.share / "found.bin", 1000)
    b.start()
    c = world.peer("c", PSERVER_NEIGHBOURS=a.addresses["peer"])
    world.found(c, "found.bin", "b")
    assert any("a" in step for step in Person(c).search("found")["via"])
    a.kill()
    answer = Person(c).search("found")
    assert answer["complete"]
    assert answer["groups"]
    assert not any(step.endswith(" a") for step in answer["via"]), answer["via"]


def test_a_neighbour_that_hangs_is_passed_by(world: World) -> None:
    a, b = world.peer("a"), world.peer("b", start=False)
    make_file(b.share / "found.bin", 1000)
    b.start()
    c = world.peer("c", PSERVER_NEIGHBOURS=a.addresses["peer"])
    world.found(c, "found.bin", "b")
    a.freeze()
    answer = Person(c).search("found")
    assert answer["complete"]
    assert answer["groups"]
    a.thaw()


def test_a_neighbour_cut_off_from_the_locator_is_not_a_not_found(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:  # accepts and never answers
        cut_off = world.peer("a", PSERVER_LOCATORS=f"127.0.0.1:{nobody.getsockname()[1]}")
        b = world.peer("b", start=False)
        make_file(b.share / "found.bin", 1000)
        b.start()
        c = world.peer("c", PSERVER_NEIGHBOURS=cut_off.addresses["peer"])
        world.found(c, "found.bin", "b")
        assert Person(c).search("found")["complete"]
        cut_off.kill()  # its leave would wait for the locator that never answers


def test_without_any_locator_neighbours_find_for_each_other(empty_world: World) -> None:
    a = empty_world.peer("a", start=False)
    make_file(a.share / "far.bin", 1000)
    a.start()
    b = empty_world.peer("b", PSERVER_NEIGHBOURS=a.addresses["peer"])
    c = empty_world.peer("c", PSERVER_NEIGHBOURS=b.addresses["peer"])
    empty_world.found(c, "far.bin", "a")
    assert not Person(c).search("far")["complete"]
    Person(c).download("far.bin")
    assert same(a.share / "far.bin", c.share / "far.bin")
    assert c.client("info", "nothing-like-it").returncode == 3


def test_a_source_killed_in_mid_download_is_replaced(world: World) -> None:
    a, b, c = (world.peer(name, start=False, PSERVER_UPLOAD_RATE=SLOW) for name in "abc")
    for peer in (a, b):
        make_file(peer.share / "big.bin", 24 * MIB)
    for peer in (a, b, c):
        peer.start()
    world.found(c, "big.bin", "a", "b")
    person = Person(c)
    transfer = person.start_download("big.bin")
    _moved(person, transfer, 2 * MIB)
    a.kill()
    assert person.ended(transfer)["state"] == "done"
    assert same(b.share / "big.bin", c.share / "big.bin")
    assert _nothing_left(c)


def test_the_only_source_comes_back_and_the_download_goes_on(world: World) -> None:
    a, c = world.peer("a", start=False, PSERVER_UPLOAD_RATE=SLOW), world.peer("c")
    make_file(a.share / "big.bin", 16 * MIB)
    a.start()
    world.found(c, "big.bin", "a")
    person = Person(c)
    transfer = person.start_download("big.bin")
    _moved(person, transfer, 2 * MIB)
    a.kill()
    wait_for("it says why it stands still", lambda: person.transfer(transfer)["standstill"])
    a.start()
    assert person.ended(transfer)["state"] == "done"
    assert same(a.share / "big.bin", c.share / "big.bin")


def test_a_source_that_flips_bits_is_dropped(world: World) -> None:
    liar = Proxy(flip_a_bit)
    a, b = world.peer("a", start=False, PSERVER_ADVERTISE_URL=liar.url), world.peer("b", start=False)
    for peer in (a, b):
        make_file(peer.share / "big.bin", 16 * MIB)
        peer.start()
    liar.to(a.addresses["peer"])
    c = world.peer("c")
    world.found(c, "big.bin", "a", "b")
    done = Person(c).download("big.bin")
    assert same(b.share / "big.bin", c.share / "big.bin")
    assert {source["peer"]["name"] for source in done["sources"] if source["state"] == "banned"} <= {"a"}
    assert _nothing_left(c)
    liar.close()


def test_a_file_that_only_a_liar_has_is_never_given_its_name(world: World) -> None:
    liar = Proxy(flip_a_bit)
    a, c = world.peer("a", start=False, PSERVER_ADVERTISE_URL=liar.url), world.peer("c")
    make_file(a.share / "big.bin", 4 * MIB)
    a.start()
    liar.to(a.addresses["peer"])
    world.found(c, "big.bin", "a")
    ended = Person(c).ended(Person(c).start_download("big.bin"))
    assert ended["state"] == "failed"
    assert ended["error"]["detail"]
    assert not (c.share / "big.bin").exists()
    liar.close()


def test_kill_9_of_the_reader_and_it_resumes(world: World) -> None:
    a, c = world.peer("a", start=False), world.peer("c")
    proxy = Proxy()
    a.settings |= {"PSERVER_UPLOAD_RATE": SLOW, "PSERVER_ADVERTISE_URL": proxy.url}
    make_file(a.share / "big.bin", 24 * MIB)
    a.start()
    proxy.to(a.addresses["peer"])
    world.found(c, "big.bin", "a")
    person = Person(c)
    transfer = person.start_download("big.bin")
    _moved(person, transfer, 8 * MIB)
    c.kill()
    c.start()
    assert person.ended(transfer)["state"] == "done"
    assert same(a.share / "big.bin", c.share / "big.bin")
    assert _nothing_left(c)
    # What was under way when it died is sent again; what was written is not.
    assert proxy.passed < 24 * MIB + 8 * MIB
    proxy.close()


def test_pause_resume_and_cancel(world: World) -> None:
    a, c = world.peer("a", start=False, PSERVER_UPLOAD_RATE=SLOW), world.peer("c")
    make_file(a.share / "big.bin", 16 * MIB)
    a.start()
    world.found(c, "big.bin", "a")
    person = Person(c)
    transfer = person.start_download("big.bin")
    _moved(person, transfer, MIB)
    assert person.ask("POST", f"/transfers/{transfer}/pause")["state"] == "paused"
    c.stop()
    c.start()
    assert person.transfer(transfer)["state"] == "paused"
    person.ask("POST", f"/transfers/{transfer}/resume")
    _moved(person, transfer, 4 * MIB)
    person.ask("DELETE", f"/transfers/{transfer}", expect=204)
    wait_for("its partial file is gone", lambda: _nothing_left(c))
    assert person.ended(transfer)["state"] == "cancelled"


def test_kill_9_of_the_locator_with_its_store(world: World) -> None:
    a, c = world.peer("a", start=False), world.peer("c")
    make_file(a.share / "kept.bin", 1000)
    a.start()
    world.found(c, "kept.bin", "a")
    world.locator.kill()
    world.locator.start()
    world.found(c, "kept.bin", "a")
    wait_for("it is complete again", lambda: Person(c).search("kept")["complete"])


def test_kill_9_of_the_locator_with_its_store_lost(world: World) -> None:
    a, c = world.peer("a", start=False), world.peer("c")
    make_file(a.share / "kept.bin", 1000)
    a.start()
    world.found(c, "kept.bin", "a")
    world.locator.kill()
    world.locator.forget()
    world.locator.start()
    wait_for("the index is rebuilt", lambda: (s := Person(c).search("kept"))["complete"] and s["groups"])


def test_a_peer_that_dies_leaves_the_answers_when_its_lease_ends(world: World) -> None:
    a, c = world.peer("a", start=False), world.peer("c")
    make_file(a.share / "gone.bin", 1000)
    a.start()
    world.found(c, "gone.bin", "a")
    a.kill()
    world.found(c, "gone.bin")
    assert c.client("info", "gone.bin").returncode == 3


def test_a_peer_that_stops_leaves_the_answers_at_once(world: World) -> None:
    a, c = world.peer("a", start=False), world.peer("c")
    make_file(a.share / "gone.bin", 1000)
    a.start()
    world.found(c, "gone.bin", "a")
    assert a.stop() == 0
    assert Person(c).holders("gone.bin") == set()


def test_a_second_process_with_the_same_key_takes_over(world: World, tmp_path: Path) -> None:
    a = world.peer("a")
    copy = world.peer("copy", start=False)
    state = Path(copy.settings["PSERVER_STATE_DIR"])
    state.mkdir(parents=True)
    (state / "peer.key").write_bytes((Path(a.settings["PSERVER_STATE_DIR"]) / "peer.key").read_bytes())
    copy.start()
    wait_for("the older one stops", lambda: not a.running)
    assert a.process is not None
    assert a.process.returncode == 3  # which systemd does not restart: the two would take turns for ever
    assert copy.addresses["peer"] in a.log


def test_a_peer_starts_without_its_locator_and_joins_when_it_comes(empty_world: World) -> None:
    locator = empty_world.locator
    locator.start()
    locator.stop()
    a = empty_world.peer("a", start=False)
    make_file(a.share / "early.bin", 1000)
    a.start()
    assert Person(a).ask("GET", "/status")["locators"][0]["state"] in {"trying", "unreachable"}
    locator.start()
    b = empty_world.peer("b")
    empty_world.found(b, "early.bin", "a")
