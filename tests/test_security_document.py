"""docs/SECURITY.md against the tests: each promise names a test or a file of tests, and it is there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "SECURITY.md").read_text()
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def _promises() -> list[str]:
    """The rows of the tables, without their heads."""
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")]
    return [row for row in rows if not row.startswith(("| promise", "| ---"))]


def test_each_promise_names_a_test() -> None:
    assert len(_promises()) > 15
    assert not [row for row in _promises() if not _TEST.search(row)]


def test_the_tests_that_are_named_exist() -> None:
    named = set(_TEST.findall(TEXT))
    missing = [f"{path}::{name}" for path, name in named if not _defines(ROOT / path, name)]
    assert not missing


def _defines(path: Path, name: str) -> bool:
    """Whether the file is there, and has that test ("": any)."""
    sought = rf"^(?:async )?def {re.escape(name)}\(" if name else r"^(?:async )?def test_"
    return path.is_file() and re.search(sought, path.read_text(), re.MULTILINE) is not None
