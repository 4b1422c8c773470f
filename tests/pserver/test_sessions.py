"""For how long a session that was asked about is believed."""

from pserver.network.sessions import FRESH_SECONDS, MAX_SEEN, QUIET_SECONDS, SeenSessions
from pserver.people import Person

ANN = Person("ann", "member", 100_000.0)
NOW = 1000.0


def test_it_is_believed_for_ten_seconds_and_then_asked_about() -> None:
    seen = SeenSessions(grace=3600)
    assert seen.believed("s", NOW) is None
    seen.checked("s", ANN, NOW)
    assert seen.believed("s", NOW + FRESH_SECONDS - 0.1) == ANN
    assert seen.believed("s", NOW + FRESH_SECONDS) is None
    assert seen.believed("other", NOW) is None


def test_while_no_locator_answers_it_is_honoured_for_the_grace() -> None:
    seen = SeenSessions(grace=60)
    seen.checked("s", ANN, NOW)
    assert seen.unanswered("s", NOW + 59.0) == ANN
    assert seen.unanswered("s", NOW + 60.0) is None
    assert seen.unanswered("other", NOW) is None, "one never checked is not honoured"
    assert SeenSessions(grace=0).unanswered("s", NOW) is None


def test_a_locator_that_does_not_answer_is_not_asked_at_every_request() -> None:
    seen = SeenSessions(grace=60)
    seen.checked("s", ANN, NOW)
    seen.unanswered("s", NOW + 20.0)
    assert seen.believed("s", NOW + 20.0 + QUIET_SECONDS / 2) == ANN
    assert seen.believed("s", NOW + 20.0 + QUIET_SECONDS) is None
    seen.unanswered("s", NOW + 59.5)
    assert seen.believed("s", NOW + 60.5) is None, "nor beyond the grace"


def test_it_is_not_honoured_beyond_its_own_end_nor_before_its_check() -> None:
    seen = SeenSessions(grace=3600)
    seen.checked("s", Person("ann", "member", NOW + 5), NOW)
    assert seen.believed("s", NOW + 4.9) is not None
    assert seen.believed("s", NOW + 5.0) is None and seen.unanswered("s", NOW + 5.0) is None
    assert seen.believed("s", NOW - 1.0) is None and seen.unanswered("s", NOW - 1.0) is None, "the clock was set back"


def test_what_has_ended_is_forgotten_alone_or_with_all_of_its_person() -> None:
    seen = SeenSessions(grace=3600)
    for session, person in (("a1", ANN), ("a2", ANN), ("b", Person("bob", "member", 100_000.0))):
        seen.checked(session, person, NOW)
    seen.ended("a1")
    assert [seen.believed(one, NOW) is not None for one in ("a1", "a2", "b")] == [False, True, True]
    seen.checked("a1", ANN, NOW)
    seen.ended("a2", everywhere=True)
    assert [seen.believed(one, NOW) is not None for one in ("a1", "a2", "b")] == [False, False, True]


def test_only_so_many_are_kept_and_the_one_unused_longest_goes() -> None:
    seen = SeenSessions(grace=3600)
    for number in range(MAX_SEEN):
        seen.checked(str(number), ANN, NOW)
    assert seen.believed("0", NOW) == ANN  # used: "1" is now the oldest
    seen.checked("more", ANN, NOW)
    assert seen.believed("0", NOW) == ANN and seen.believed("1", NOW) is None
