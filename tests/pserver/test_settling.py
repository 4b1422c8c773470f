"""When a file has stopped changing."""

from hypothesis import given
from hypothesis import strategies as st

from pserver.disk.folder import Stamp
from pserver.disk.settling import Settling, Verdict

STAMPS = st.tuples(st.integers(1, 3), st.integers(0, 20), st.integers(0, 20)).map(
    lambda found: (found[0], found[1] * 10**9, found[2] * 10**9, 7)
)


@given(st.lists(st.tuples(st.floats(0, 20), STAMPS), max_size=30))
def test_settled_is_what_was_quiet_for_two_seconds(looks: list[tuple[float, Stamp]]) -> None:
    settling, seen = Settling(2.0), list[tuple[float, Stamp]]()
    for now, stamp in sorted(looks):
        verdict = settling.look(b"f", stamp, now)
        old = max(stamp[1], stamp[2]) / 1e9 <= now - 2
        unchanged = 0.0
        for before, seen_stamp in reversed(seen):
            if seen_stamp != stamp:
                break
            unchanged = now - before
        assert (verdict is Verdict.SETTLED) == (old or unchanged >= 2)
        assert (b"f" in settling) == (verdict is not Verdict.SETTLED)
        if verdict is Verdict.SETTLED:
            seen.clear()
        else:
            assert (verdict is Verdict.MOVING) == bool(seen and seen[-1][1] != stamp)
            seen.append((now, stamp))
            due = settling.next_due()
            assert due is not None
            assert settling.due(due) == [b"f"]


def test_a_file_from_the_future_settles_too() -> None:
    settling = Settling(2.0)
    stamp = (1, 10**18 * 5, 0, 7)
    assert settling.look(b"f", stamp, 10.0) is Verdict.WAITING
    assert settling.due(11.0) == []
    assert settling.look(b"f", stamp, 12.0) is Verdict.SETTLED


def test_a_clock_set_back_does_not_strand_a_file() -> None:
    settling = Settling(2.0)
    stamp = (1, 10**18, 0, 7)
    settling.look(b"f", stamp, 1000.0)
    assert settling.due(10.0) == [b"f"]
    assert settling.look(b"f", stamp, 10.0) is Verdict.WAITING
    assert settling.look(b"f", stamp, 12.0) is Verdict.SETTLED
