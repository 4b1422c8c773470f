"""A hundred and twenty peers at one locator, simulated as in bench/fleet.py: in step, and back after both restarts."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from bench.fleet_world import Fleet, Size
from demo.processes import wait_for

SIZE = Size(120, files=50, change_seconds=4.0)
BACK_SECONDS = 60.0


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Its locator runs, and all of it is in."""
    made = Fleet(tmp_path, SIZE)
    made.locator.start()
    try:
        began = monotonic()
        made.launch()
        made.all_back(began, BACK_SECONDS)
        yield made
    finally:
        made.end()
    assert "Traceback" not in made.locator.log, made.locator.log


@pytest.mark.long
@pytest.mark.parametrize("lost", [False, True], ids=["store kept", "store lost"])
def test_all_are_back_after_a_restart(fleet: Fleet, lost: bool) -> None:
    """And lookups are answered meanwhile; with the store kept, with all holders from the first answer on."""
    with fleet.probed() as seen:
        wait_for("lookups find all", lambda: seen.locates and seen.locates[-1][2] == SIZE.peers)
        assert fleet.locator.stop() == 0
        if lost:
            fleet.locator.forget()
        began = monotonic()
        fleet.locator.start()
        up = monotonic()
        fleet.all_back(began, BACK_SECONDS)
        wait_for("lookups find all again", lambda: seen.locates[-1][2] == SIZE.peers)
    found = [holders for at, _, holders in seen.locates if at > up]
    answered = found[next(at for at, holders in enumerate(found) if holders >= 0) :]
    assert -1 not in answered, seen.errors
    if not lost:
        assert set(answered) == {SIZE.peers}
    assert fleet.calls()["SendPart OK"] == SIZE.peers * (2 if lost else 1), "a kept store needs no snapshot"
