"""What the peer's settings warn of at the start."""

from pathlib import Path

from pserver.settings import read_settings

KEY = "k" * 32


def test_a_misspelt_name_is_told_with_the_nearest_one() -> None:
    settings = read_settings({"PSERVER_LISTN": "secret-value", "PSERVER_NETWORK_KEY_FIL": "x", "LOCATOR_X": "not ours"})
    typo, key = sorted(settings.warnings)
    assert "PSERVER_LISTN" in typo and "PSERVER_LISTEN?" in typo and "secret-value" not in typo
    assert "PSERVER_NETWORK_KEY_FILE?" in key


def test_every_setting_there_is_is_known() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    names = {line.split("`")[1] for line in readme.splitlines() if line.startswith("| `PSERVER_")}
    environment = dict.fromkeys(names, "") | {"PSERVER_NETWORK_KEY": KEY, "PSERVER_OPEN": "1"}
    assert len(names) > 15 and read_settings(environment).warnings == ()


def test_a_key_that_every_user_can_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "network.key"
    path.write_text(KEY)
    path.chmod(0o644)
    (line,) = read_settings({"PSERVER_NETWORK_KEY_FILE": str(path)}).warnings
    assert "PSERVER_NETWORK_KEY_FILE" in line and str(path) in line and KEY not in line
    path.chmod(0o640)
    assert read_settings({"PSERVER_NETWORK_KEY_FILE": str(path)}).warnings == ()
