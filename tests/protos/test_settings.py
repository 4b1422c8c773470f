"""What all settings have in common."""

from pathlib import Path

import pytest

import protos.settings
from protos.settings import Asked, lies_open, unknown


def test_names_that_were_asked_for_are_known() -> None:
    asked = Asked({"X_A": "1", "X_LISTN": "2", "Y_B": "3"})
    assert asked["X_A"] == "1" and asked.get("X_LISTEN") is None
    (line,) = asked.unknown("X_")
    assert line == "X_LISTN is no setting, so it does nothing; did you mean X_LISTEN?"


def test_no_name_is_suggested_where_none_is_near() -> None:
    assert unknown({"X_QQ": ""}, "X_", {"X_LISTEN"}) == ["X_QQ is no setting, so it does nothing"]


@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o640, False), (0o644, True), (0o604, True)])
def test_only_a_secret_that_every_user_can_read_is_told(tmp_path: Path, mode: int, told: bool) -> None:
    path = tmp_path / "key"
    path.write_text("secret")
    path.chmod(mode)
    lines = lies_open("X_KEY_FILE", path)
    assert len(lines) == told and all("X_KEY_FILE" in line and str(path) in line for line in lines)


def test_secrets_of_a_container_and_files_that_are_not_there_are_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    path.write_text("secret")
    path.chmod(0o644)
    assert lies_open("X", tmp_path / "nowhere") == []
    monkeypatch.setattr(protos.settings, "_MOUNTED", tmp_path)
    assert lies_open("X", path) == []
