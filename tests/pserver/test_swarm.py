"""What is given to whom of a swarm; and whole swarms in a simulated world."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserver.exchange.bitfield import from_mask, mask_of_flags, pack, pieces_of, run_mask, to_mask, unpack
from pserver.exchange.swarm import Swarm
from pserver.model import Peer
from tests.pserver.swarm_world import SwarmWorld


@given(st.binary(min_size=1, max_size=40).map(lambda some: bytes(byte & 1 for byte in some)))
def test_a_mask_says_what_flags_and_the_packed_form_say(flags: bytes) -> None:
    mask = to_mask(pack(flags), len(flags))
    assert from_mask(mask, len(flags)) == pack(flags)
    assert pieces_of(mask) == [piece for piece, flag in enumerate(unpack(pack(flags), len(flags))) if flag]
    assert mask_of_flags(flags) == mask


@pytest.mark.parametrize(("packed", "pieces"), [(b"", 1), (b"\1\1", 8), (b"\1", 7)])
def test_what_is_no_bitfield_of_so_many_pieces_is_refused(packed: bytes, pieces: int) -> None:
    with pytest.raises(ValueError, match="bitfield"):
        to_mask(packed, pieces)


@given(st.integers(0, 1 << 20), st.lists(st.integers(1, (1 << 12) - 1), min_size=1, max_size=40), st.integers(1, 4))
def test_what_was_given_least_is_given(seed: int, wanted: list[int], most: int) -> None:
    swarm, given_out = Swarm(random.Random(seed)), [0] * 12
    for choices in wanted:
        run = swarm.give(choices, None, most)
        assert run is not None and 1 <= len(run) <= most
        least = min(given_out[piece] for piece in pieces_of(choices))
        for piece in run:
            assert choices >> piece & 1 and given_out[piece] == least
            given_out[piece] += 1


def test_only_what_is_here_is_given() -> None:
    swarm = Swarm(random.Random(1))
    assert swarm.give(0b1010, 0b0101) is None
    assert swarm.give(0, None) is None
    assert swarm.give(0b1110, 0b0100, most=3) == range(2, 3)


def test_a_seed_gives_each_piece_once_before_any_twice() -> None:
    swarm, everything = Swarm(random.Random(1)), run_mask(0, 100)
    first = [swarm.give(everything, None) for _ in range(100)]
    assert {run.start for run in first if run is not None} == set(range(100))


def test_what_fewest_of_the_latest_askers_have_is_given_again_and_again() -> None:
    swarm, chance = Swarm(random.Random(1)), random.Random(2)
    for number in range(40):
        swarm.met(f"p{number}", None, 0b0111 if chance.random() < 0.5 else 0b0011, 0.0)
    assert [swarm.give(0b1111, None) for _ in range(5)] == [range(3, 4)] * 5
    assert swarm.give(0b0111, None) == range(2, 3)
    for number in range(40):  # by now they have it
        swarm.met(f"p{number}", None, 0b1111, 1.0)
    assert swarm.give(0b1111, None) in (range(1), range(1, 2))


def test_it_says_whether_others_will_be_told_of_soon() -> None:
    swarm, ann = Swarm(random.Random(1)), Peer("a", "a", "http://a:1")
    swarm.met("a", None, 0b1, 10.0)
    swarm.met("b", None, 0b1, 10.0)
    assert swarm.more("a", 11.0) and not Swarm(random.Random(1)).more("a", 11.0)
    swarm.met("a", ann, None, 11.0)
    assert not swarm.more("b", 11.0) and swarm.more("a", 11.0)
    swarm.met("b", None, 0b11, 14.0)
    assert not swarm.more("a", 14.0), "it tells no address"


def test_askers_are_told_of_each_other_while_they_ask() -> None:
    swarm, peers = Swarm(random.Random(1)), [Peer(name, name, f"http://{name}:1") for name in "abc"]
    swarm.met("a", peers[0], 0b1, 0.0)
    swarm.met("b", peers[1], 0b10, 10.0)
    swarm.met("c", None, None, 10.0)  # it told no address
    assert swarm.others("b", 9, 11.0) == [(peers[0], 0b1)]
    swarm.met("a", None, 0b11, 12.0)
    assert swarm.others("b", 9, 20.0) == [(peers[0], 0b11)]
    assert swarm.others("a", 0, 20.0) == []
    assert swarm.others("a", 9, 26.0) == []


def test_of_many_askers_those_are_told_of_that_asked_last() -> None:
    swarm = Swarm(random.Random(1))
    for number in [*range(20), 3]:
        swarm.met(f"p{number}", Peer(f"p{number}", "p", "http://p:1"), 1 << number, float(swarm.last + 0.1))
    assert [peer.peer_id for peer, _ in swarm.others("p19", 3, swarm.last)] == ["p3", "p18", "p17"]


FEW, MANY = [(8, 0.84), (16, 0.84)], [(100, 0.82), (1000, 0.77)]
LONG = (pytest.mark.long, pytest.mark.timeout(600))


@pytest.mark.parametrize(("peers", "least"), [*FEW, *(pytest.param(*each, marks=LONG) for each in MANY)])
def test_a_swarm_comes_near_the_bound(peers: int, least: float) -> None:
    pieces = 400
    world = SwarmWorld(peers, pieces)
    took = world.run()
    said = f"1 to {peers}: {took:.2f} s, {world.bound() / took:.3f} of the bound; {world.doubled} pieces came in vain"
    print(said)
    assert took < world.bound() / least, said
    assert world.doubled < peers * pieces * 0.01, said
