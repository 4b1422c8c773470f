"""50 logins a second with wrong passwords at one peer: others are answered as ever (bench/logins.py measures)."""

import pytest

from bench.logins import answer_times, flood, questions_to
from tests.end_to_end.conftest import World

pytestmark = [pytest.mark.abuse, pytest.mark.timeout(240)]

SECONDS = 10.0
ANSWER_SECONDS = 5.0  # in which whoever is no part of the flood is answered, on any machine


def test_others_are_answered_during_a_flood_of_logins(empty_world: World) -> None:
    empty_world.locator.settings |= {"LOCATOR_ACCOUNTS": "on", "LOCATOR_SIGNUP": "open"}
    empty_world.locator.start()
    flooded, other = empty_world.peer("flooded"), empty_world.peer("other")
    questions = questions_to(flooded, other)
    statuses: list[int] = []
    with flood(flooded, statuses):
        took = answer_times(questions, SECONDS)
    assert max(max(times) for times in took.values()) < ANSWER_SECONDS
    assert len(statuses) > 100
    assert set(statuses) <= {401, 429, 503}
