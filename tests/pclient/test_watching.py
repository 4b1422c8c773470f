"""Watching a transfer, and what is shown of it."""

import re
from collections.abc import Callable

import pytest
from rich.cells import cell_len
from rich.console import Console

from pclient.model import Unreachable
from pclient.progress import Moment, drawn, figures
from pclient.watching import AWAY_SECONDS, LOOK_SECONDS, Patience
from tests.pclient.conftest import Desk, interrupt
from tests.pclient.fake_pserver import FakePServer


def test_a_pserver_that_is_away_for_a_while_is_waited_for(desk: Desk, fake: FakePServer) -> None:
    def away() -> None:
        fake.answer_all = lambda handler: not handler.break_off()

    def back() -> None:
        fake.answer_all = None

    desk.clock.events = [away, lambda: None, lambda: None, back]
    assert desk.run("download", "docs/report.pdf") == 0, desk.said
    assert desk.clock.now < AWAY_SECONDS


def test_a_pserver_may_be_away_again_and_again(desk: Desk, fake: FakePServer) -> None:
    fake.step_at_look = None

    def away() -> None:
        fake.answer_all = lambda handler: not handler.break_off()

    def back() -> None:
        fake.answer_all = None

    for_a_while = [lambda: None] * int(AWAY_SECONDS * 0.7 / LOOK_SECONDS)
    desk.clock.events = [
        away,
        *for_a_while,
        back,
        lambda: None,
        away,
        *for_a_while,
        back,
        lambda: fake.step("00000001"),
    ]
    assert desk.run("download", "docs/report.pdf") == 0, desk.said
    assert desk.clock.now > AWAY_SECONDS


def test_one_that_stays_away_is_exit_code_5(desk: Desk, fake: FakePServer) -> None:
    def away() -> None:
        fake.answer_all = lambda handler: not handler.break_off()

    desk.clock.events = [away]
    assert desk.run("download", "docs/report.pdf") == 5
    assert AWAY_SECONDS <= desk.clock.now < AWAY_SECONDS + 2


def test_patience_begins_anew_with_every_answer() -> None:
    patience, away = Patience(10), Unreachable("away")
    patience.failed(away, 0)
    patience.failed(away, 9)
    patience.answered()
    patience.failed(away, 12)
    with pytest.raises(Unreachable):
        patience.failed(away, 22)


def test_on_a_terminal_a_bar_is_drawn_and_gone_at_the_end(seat: Callable[..., Desk], fake: FakePServer) -> None:
    fake.step_at_look = 0.3
    desk = seat()
    assert desk.run("download", "docs/report.pdf") == 0
    assert "30 %" in desk.said
    assert "2 sources" in desk.said
    assert desk.said.endswith("download of docs/report.pdf is done, 410.2 KiB\n")
    assert desk.said.count("\x1b[?25l") == desk.said.count("\x1b[?25h") == 1  # the cursor is back


def test_off_a_terminal_it_is_a_line_at_each_turn(desk: Desk, fake: FakePServer) -> None:
    fake.step_at_look = None
    desk.clock.events = [
        lambda: fake.transfers["00000001"].update(state="paused"),
        lambda: None,
        lambda: fake.transfers["00000001"].update(state="running"),
        lambda: fake.step("00000001"),
    ]
    assert desk.run("download", "docs/report.pdf") == 0
    states = [line.split(": ")[-1].split(",")[0] for line in desk.said.splitlines()]
    assert states[:3] == ["running", "paused", "running"]
    assert len(states) == 4


def test_off_a_terminal_a_standstill_is_told_when_it_begins_or_changes(desk: Desk, fake: FakePServer) -> None:
    fake.step_at_look = None

    def stands(why: str | None) -> Callable[[], None]:
        return lambda: fake.transfers["00000001"].update(standstill=why)

    nothing: list[Callable[[], None]] = [lambda: None] * 30
    desk.clock.events = [
        stands("waiting for bob"),
        stands("bob is dead: trying again in 8 s"),
        stands("bob is dead: trying again in 7 s"),
        stands(None),
        *nothing,
        lambda: fake.step("00000001"),
    ]
    assert desk.run("download", "docs/report.pdf") == 0
    begun = "download docs/report.pdf: running, 0 B of 410.2 KiB"
    assert desk.said.splitlines() == [
        begun,
        f"{begun}; waiting for bob",
        f"{begun}; bob is dead: trying again in 8 s",
        begun,
        "download of docs/report.pdf is done, 410.2 KiB",
    ]


def test_on_a_terminal_a_standstill_is_shown_in_words(seat: Callable[..., Desk], fake: FakePServer) -> None:
    fake.step_at_look = None
    desk = seat(width=50)
    desk.clock.events = [
        lambda: fake.transfers["00000001"].update(standstill="no source has the 12 pieces that are missing"),
        lambda: None,
        lambda: fake.step("00000001"),
    ]
    assert desk.run("download", "docs/report.pdf") == 0
    assert "no source has the 12 pieces that are missing" in desk.said


def test_ctrl_c_while_the_pserver_is_away_says_when_it_goes_on(desk: Desk, fake: FakePServer) -> None:
    fake.step_at_look = None

    def away() -> None:
        fake.answer_all = lambda handler: not handler.break_off()

    desk.clock.events = [away, lambda: None, interrupt]
    assert desk.run("download", "docs/report.pdf") == 130
    assert "download 00000001 will go on when the PServer is back. To look at it:" in desk.said


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_the_bar_fits(width: int) -> None:
    console = Console(width=width, record=True, file=None, quiet=False, color_system=None)
    moment = Moment("download 日本の歌\x1b[31m" * 5, "running", 3 * 2**29, 2**31, 12e6, 125, 3, "no source\n" * 9)
    with console.capture() as capture:
        console.print(drawn(moment, width))
    lines = capture.get().splitlines()
    assert 3 <= len(lines) < 12
    assert max(cell_len(line) for line in lines) <= width
    assert "\x1b" not in capture.get()


@pytest.mark.parametrize("width", [5, 18, 24, 33, 40, 41, 54, 60, 69, 70, 75, 80, 90, 99])
def test_no_figure_is_cut(width: int) -> None:
    moment = Moment("x", "running", 3 * 2**29, 2**31, 12 * 2**20, 125, 3)
    whole = ["75 %", "1.5 GiB of 2.0 GiB", "12.0 MiB/s", "2 min 05 s left", "3 sources"]
    console = Console(width=width, record=True, file=None, quiet=False, color_system=None)
    with console.capture() as capture:
        console.print(drawn(moment, width))
    line = capture.get().splitlines()[1]
    shown = re.sub("[━╸╺]", "", line).strip().split("  ")
    assert shown[0] == "75 %"
    assert set(shown) <= set(whole)
    assert ("━" in line) == (width >= 70)


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (80, " 75 %  1.5 GiB of 2.0 GiB  12.0 MiB/s  2 min 05 s left  3 sources"),
        (60, " 75 %  1.5 GiB of 2.0 GiB  12.0 MiB/s  2 min 05 s left"),
        (40, " 75 %  12.0 MiB/s  2 min 05 s left"),
        (25, " 75 %  2 min 05 s left"),
        (5, " 75 %"),
    ],
)
def test_the_most_important_figures_stay(width: int, shown: str) -> None:
    assert figures(Moment("x", "running", 3 * 2**29, 2**31, 12 * 2**20, 125, 3), width) == shown


def test_figures() -> None:
    moment = Moment("x", "running", 3 * 2**29, 2**31, 12 * 2**20, 125, 3)
    assert figures(moment) == " 75 %  1.5 GiB of 2.0 GiB  12.0 MiB/s  2 min 05 s left  3 sources"
    assert figures(Moment("x", "paused", 0, 0)) == "  0 %  0 B of 0 B  paused"
