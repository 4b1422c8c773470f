"""Tables: fitted for people, whole for programs."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from pclient import render, render_transfers, table
from pclient.talk import Talk
from tests.pclient.conftest import Stream
from tests.pclient.fake_pserver import Remote, samples


def drawn(rows: table.Table, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, color_system=None).print(table.fitted(rows, width))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_a_table_fits_the_terminal_and_shows_whole_names(width: int) -> None:
    found = [one.group() for one in samples()]
    lines = drawn(render.groups(found), width)  # type: ignore[arg-type]  # the fake's JSON
    assert max(cell_len(line) for line in lines) <= width
    shown = "".join("".join(lines).split())
    assert "日本の歌" in shown
    assert "evil\\x1b[31m" in shown


def test_on_a_narrow_terminal_ids_go_before_names() -> None:
    found = [one.group() for one in samples()]
    assert "id" in drawn(render.groups(found), 80)[0]  # type: ignore[arg-type]  # the fake's JSON
    assert "id" not in drawn(render.groups(found), 45)[0]  # type: ignore[arg-type]  # the fake's JSON


def test_wide_characters_align() -> None:
    found = [Remote(b"x", [("bob", name)]).group() for name in ("日本の歌 🎵", "plain", "👨‍👩‍👧 é")]
    lines = drawn(render.groups(found), 80)[2:]  # type: ignore[arg-type]  # the fake's JSON
    assert len({cell_len(line[: line.index("1 B")]) for line in lines}) == 1


def test_for_programs_nothing_is_cut_and_nothing_is_a_separator() -> None:
    found = [Remote(b"x", [("bob", "long" * 200 + "\t\n")]).group()]
    (line,) = table.plain_lines(render.groups(found))  # type: ignore[arg-type]  # the fake's JSON
    name, size, holders, file_id = line.split("\t")
    assert name == "long" * 200 + "\\t\\n"
    assert (size, holders, len(file_id)) == ("1", "1", 64)


@pytest.mark.parametrize(
    ("done", "total", "state", "shown"),
    [(0, 0, "running", "0 %"), (0, 0, "done", "100 %"), (999, 1000, "running", "99 %"), (5, 4, "running", "100 %")],
)
def test_percent(done: int, total: int, state: str, shown: str) -> None:
    assert render_transfers.percent(done, total, state) == shown


@pytest.mark.parametrize(
    ("terminal", "environ", "coloured"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {"TERM": "xterm", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colours_are_for_terminals_only(terminal: bool, environ: dict[str, str], coloured: bool) -> None:
    out, err = Stream(terminal), Stream(terminal)
    talk = Talk(out, err, environ)
    talk.error("wrong")
    talk.table(render.groups([one.group() for one in samples()]))  # type: ignore[misc]  # the fake's JSON
    assert ("\x1b[" in err.getvalue(), "\x1b[" in out.getvalue()) == (coloured, coloured)


def test_all_talk_is_harmless() -> None:
    out, err = Stream(terminal=False), Stream(terminal=False)
    talk = Talk(out, err, {})
    talk.say("a\x1b]0;title\x07")
    talk.warn("b\u202e")
    talk.error("c\r\nd")
    talk.line("e\x9b")
    assert err.getvalue().splitlines() == ["a\\x1b]0;title\\x07", "note: b\\u202e", "error: c\\r\\nd"]
    assert out.getvalue() == "e\\x9b\n"


def test_a_wrapped_column_is_never_squeezed_to_nothing() -> None:
    columns = [table.Column("peer", wraps=True), *[table.Column(title, rank=1) for title in "abcdefg"]]
    rows = table.Table(columns, [[table.word("ann"), *[table.word("wide")] * 7]])
    for width in range(30, 70):
        assert drawn(rows, width)[2].startswith("ann "), width
