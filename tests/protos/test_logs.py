"""What a line of the log looks like, and how ids travel."""

import io
import json
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path

import pytest

from protos.logs import (
    Journal,
    Json,
    Text,
    begin_logging,
    begin_request,
    end_request,
    goes_to_journal,
    metadata,
    received_request_id,
    request_id,
    rfc3339,
    working_on,
)

SECONDS = 1_700_000_000.25


@pytest.fixture
def untouched() -> Iterator[None]:
    """The logging of the tests, put back."""
    root, urllib3 = logging.getLogger(), logging.getLogger("urllib3")
    before = root.level, root.handlers[:], urllib3.level
    root.handlers = []
    yield
    root.handlers = before[1]
    root.setLevel(before[0])
    urllib3.setLevel(before[2])


def record(message: str = "hello", level: int = logging.INFO, **more: object) -> logging.LogRecord:
    made = logging.LogRecord("pserver.node", level, "node.py", 1, message, None, None)
    made.created = SECONDS
    made.__dict__.update(more)
    return made


def test_times_are_rfc_3339_in_utc() -> None:
    assert rfc3339(SECONDS) == "2023-11-14T22:13:20.250Z"
    assert rfc3339(1_699_999_999.9996) == "2023-11-14T22:13:20.000Z"


def test_text_is_one_line_with_the_ids() -> None:
    with working_on(request="r-1", transfer="0011aabb"):
        line = Text(with_time=True).format(record())
    assert line == "2023-11-14T22:13:20.250Z INFO pserver.node: hello [request_id r-1] [transfer_id 0011aabb]"
    assert Text(with_time=False).format(record()) == "INFO pserver.node: hello"


def test_no_message_forges_a_line() -> None:
    evil = record("a\nERROR root: b\x1b[31m\u2028c")
    assert Text(with_time=False).format(evil) == "INFO pserver.node: a\\nERROR root: b\\x1b[31m\\u2028c"
    assert len(Json(with_time=False).format(evil).splitlines()) == 1


def test_json_has_all_and_leaves_out_what_is_not() -> None:
    with working_on(request="r-1"):
        said = json.loads(Json(with_time=True).format(record(transfer_id="0011aabb")))
    assert said == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "logger": "pserver.node",
        "message": "hello",
        "request_id": "r-1",
        "transfer_id": "0011aabb",
    }
    assert json.loads(Json(with_time=False).format(record())).keys() == {"level", "logger", "message"}


def test_a_traceback_is_told() -> None:
    try:
        int("oh")
    except ValueError as error:
        failed = record(exc_info=(type(error), error, error.__traceback__))
    assert "invalid literal" in json.loads(Json(with_time=True).format(failed))["traceback"]
    assert Text(with_time=True).format(failed).endswith("'oh'")


def test_the_journal_gets_priorities_and_no_second_time() -> None:
    journal = Journal(Text(with_time=False))
    assert journal.format(record()) == "<6>INFO pserver.node: hello"
    assert journal.format(record(level=logging.WARNING)).startswith("<4>")
    assert journal.format(record(level=logging.ERROR)).startswith("<3>")
    assert journal.format(record(level=logging.DEBUG)).startswith("<7>")


def test_the_journal_is_known_by_its_device_and_inode() -> None:
    with open(os.devnull, "w") as stream:
        found = os.fstat(stream.fileno())
        assert goes_to_journal(stream, f"{found.st_dev}:{found.st_ino}")
        assert not goes_to_journal(stream, f"{found.st_dev}:{found.st_ino + 1}")
        assert not goes_to_journal(stream, "")
    assert not goes_to_journal(io.StringIO(), "1:2")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(("form", "terminal", "as_json"), [
    ("auto", True, False), ("auto", False, True), ("text", False, False), ("json", True, True),
])  # fmt: skip
def test_a_terminal_gets_text_and_all_else_json(form: str, terminal: bool, as_json: bool) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: terminal  # type: ignore[method-assign]
    begin_logging("INFO", form, stream)
    logging.getLogger("pserver").info("hello")
    assert stream.getvalue().startswith("{") == as_json


@pytest.mark.usefixtures("untouched")
def test_what_goes_to_the_journal_has_no_time_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "journal", "w") as stream:
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        begin_logging("INFO", "auto", stream)
        logging.getLogger("pserver").error("hello")
    line = (tmp_path / "journal").read_text()
    assert line.startswith("<3>{") and "time" not in json.loads(line[3:])


@pytest.mark.usefixtures("untouched")
def test_warnings_and_errors_are_counted() -> None:
    counts = begin_logging("DEBUG", "json", io.StringIO())
    log = logging.getLogger("pserver")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(level, "x")
    assert counts.counts() == {"warning": 1, "error": 2}


@pytest.mark.parametrize("given", ["download-0011aabb", "a", "A.b_c-9", "x" * 64])
def test_an_id_that_came_is_taken(given: str) -> None:
    assert received_request_id(given) == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "a\nb", "-a", '"}', "é", "a\n"])
def test_what_is_no_id_is_replaced(given: str | None) -> None:
    assert re.fullmatch("[0-9a-f]{16}", received_request_id(given))


def test_an_id_lasts_for_its_block_and_follows_into_threads_that_are_given_it() -> None:
    seen: list[str] = []
    with working_on(request="outer"):
        with working_on(request="inner", transfer="t"):
            thread = threading.Thread(target=copy_context().run, args=(lambda: seen.append(request_id()),))
            thread.start()
            thread.join()
            assert metadata() == (("p2p-request-id", "inner"),)
        seen.append(request_id())
    assert seen == ["inner", "outer"]
    assert request_id() == "" and metadata() == ()


def test_a_request_begins_and_ends() -> None:
    assert begin_request("r-1") == "r-1" == request_id()
    assert begin_request("bad id") != "r-1"
    end_request()
    assert request_id() == ""
