"""The command `link`: links, and documents of links."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pclient.linking import seconds_of
from pclient.model import WrongUsage
from tests.pclient.conftest import Desk
from tests.pclient.fake_pserver import FakePServer, peer, samples

Seat = Callable[..., Desk]
REPORT = "docs/report.pdf"


def test_a_link_is_one_line_and_with_all_one_a_holder(desk: Desk, fake: FakePServer) -> None:
    assert desk.run("link", REPORT) == 0
    assert desk.rows == [[f"{peer('bob')['url']}/peer/v1/links/token/file/x"]]
    assert desk.said == ""
    assert fake.links == [{"what": REPORT, "expires_seconds": 3600, "choose": None}]
    assert desk.run("link", REPORT, "--all", "--expires", "7d") == 0
    assert [row[0].partition("/peer/")[0] for row in desk.rows] == [peer("bob")["url"], peer("carol")["url"]]
    assert fake.links[-1]["expires_seconds"] == 7 * 86400
    assert desk.json("link", REPORT)["file_id"] == samples()[0].file_id
    assert desk.run("link", "nowhere") == 3


def test_a_person_is_told_what_the_link_is_worth(seat: Seat) -> None:
    desk = seat()
    assert desk.run("link", REPORT) == 0
    assert "whoever has this link can fetch docs/report.pdf" in desk.said
    assert "2 peers" in desk.said


def test_a_name_of_two_files_is_asked_about_or_the_most_held_taken(desk: Desk, seat: Seat, fake: FakePServer) -> None:
    assert desk.json("link", "same.txt")["file_id"] == samples()[4].file_id
    assert "taken, as most peers hold it: same.txt" in desk.said
    person = seat("1")
    assert person.run("link", "same.txt") == 0
    assert fake.links[-1]["what"] == f"id:{samples()[3].file_id}"
    assert seat("").run("link", "same.txt") == 1


def test_a_line_of_the_last_list_can_be_linked(desk: Desk, fake: FakePServer) -> None:
    desk.shell("search report", "link 1")
    assert fake.links[-1]["what"] == f"id:{samples()[0].file_id}"


@pytest.mark.parametrize("form", ["meta4", "torrent"])
def test_a_document_is_saved_when_it_is_made_and_never_over_another(
    desk: Desk, fake: FakePServer, tmp_path: Path, form: str
) -> None:
    fake.making = 2
    target = tmp_path / "new" / f"report.pdf.{form}"
    assert desk.run("link", REPORT, f"--{form}", "--save", str(target.parent), "--expires", "30m") == 0
    assert target.read_text() == f"{form} of {samples()[0].file_id} for 1800"
    assert desk.rows == [[str(target)]]
    assert desk.clock.waits == [3.0, 3.0]
    assert desk.said.count("hash its pieces") == 1
    target.write_text("mine")
    assert desk.run("link", REPORT, f"--{form}", "--save", str(target.parent)) == 1
    assert "not replaced" in desk.said
    assert target.read_text() == "mine"
    target.unlink()
    assert desk.json("link", REPORT, f"--{form}", "--save", str(target.parent))["saved"] == str(target)


def test_options_that_do_not_go_together(desk: Desk, fake: FakePServer, tmp_path: Path) -> None:
    assert desk.run("link", REPORT, "--meta4", "--torrent") == 2
    assert desk.run("link", REPORT, "--save", str(tmp_path)) == 2
    assert "download NAME --save DIR" in desk.said
    assert not fake.links


@pytest.mark.parametrize(
    ("words", "seconds"), [("90s", 90), ("30m", 1800), ("1h", 3600), ("7d", 604800), (" 2H ", 7200)]
)
def test_times(words: str, seconds: int) -> None:
    assert seconds_of(words) == seconds


@pytest.mark.parametrize("words", ["", "1", "h", "0s", "8d", "-1h", "1.5h", "1h30m", "9999999s", "1w", "٣h"])
def test_times_that_are_none(words: str) -> None:
    with pytest.raises(WrongUsage, match="7 days"):
        seconds_of(words)
