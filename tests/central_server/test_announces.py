"""Which batch fits, and that doubled and reordered batches always lead to what the peer has."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central_server.announces import decide
from central_server.model import Announcement, Hidden, Index, Verdict
from tests.central_server.memory_store import MemoryStore
from tests.central_server.samples import NOW, delta, entry, epoch, lease, part, peer_id, said, snapshot

AT_5 = Index(epoch("1"), 5)
MAKING_9 = Index(epoch("1"), 5, hidden=Hidden(epoch("1"), 9, 2))
APPLY, ACKNOWLEDGE, ASK = Verdict.APPLY, Verdict.ACKNOWLEDGE, Verdict.ASK


@pytest.mark.parametrize(
    ("index", "batch", "verdict"),
    [
        (AT_5, delta(5, 6), APPLY),
        (AT_5, delta(5, 60), APPLY),
        (AT_5, delta(4, 5), ACKNOWLEDGE),
        (AT_5, delta(1, 2), ACKNOWLEDGE),
        (AT_5, delta(3, 8), ACKNOWLEDGE),
        (AT_5, delta(6, 7), ASK),
        (AT_5, delta(5, 6, life="2"), ASK),
        (Index(), delta(0, 1), ASK),
        (AT_5, snapshot(9, []), APPLY),
        (AT_5, snapshot(5, []), ACKNOWLEDGE),
        (AT_5, snapshot(3, []), ACKNOWLEDGE),
        (AT_5, snapshot(1, [], life="2"), APPLY),
        (Index(), snapshot(0, []), APPLY),
        (AT_5, part(1, 9, []), ASK),
        (MAKING_9, part(2, 9, []), APPLY),
        (MAKING_9, part(2, 9, [], end=True), APPLY),
        (MAKING_9, part(1, 9, []), ACKNOWLEDGE),
        (MAKING_9, part(0, 9, []), APPLY),
        (MAKING_9, part(3, 9, []), ASK),
        (MAKING_9, part(2, 8, []), ASK),
        (MAKING_9, part(2, 9, [], life="2"), ASK),
        (MAKING_9, part(1, 4, []), ACKNOWLEDGE),
        (MAKING_9, delta(5, 6), APPLY),
    ],
)
def test_which_batch_fits(index: Index, batch: Announcement, verdict: Verdict) -> None:
    assert decide(index, batch) is verdict


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=12), st.randoms())
def test_doubled_and_reordered_batches_never_garble_an_index(changes: list[tuple[int, int]], random: object) -> None:
    asyncio.run(_deliver_badly(changes, random))


async def _deliver_badly(changes: list[tuple[int, int]], random: object) -> None:
    # The peer's index after each change, and the deltas between them.
    states: list[dict[str, str]] = [{}]
    batches: list[Announcement] = [snapshot(0, [])]
    for sequence, (name, content) in enumerate(changes, start=1):
        state = dict(states[-1])
        if content == 0:
            state.pop(str(name), None)
            batches.append(delta(sequence - 1, sequence, [], [str(name)]))
        else:
            state[str(name)] = f"content {content}"
            batches.append(delta(sequence - 1, sequence, [entry(str(name), state[str(name)])]))
        states.append(state)
    middle = len(changes) // 2
    whole = [entry(name, content) for name, content in states[middle].items()]
    cut = len(whole) // 2
    batches += [part(0, middle, whole[:cut]), part(1, middle, whole[cut:], end=True)]
    disorder = [*batches, *batches]
    random.shuffle(disorder)  # type: ignore[attr-defined]  # hypothesis' random.Random
    store = MemoryStore()
    member = await store.register(peer_id("ann"), said("ann"), lease(), True)
    for batch in [*disorder, *batches]:
        if decide(member.index, batch) is APPLY:
            member = await store.announce(peer_id("ann"), batch, 100)
        if member.index.epoch:
            shown = await store.files_of(peer_id("ann"), "", "", 100, NOW)
            assert {e.name: e for e in shown} == {
                name: entry(name, content) for name, content in states[member.index.sequence].items()
            }
    assert member.index.sequence == len(changes)
