"""What the peer's settings warn of at the start."""

from pathlib import Path

import pytest

from pserver.settings import LocatorTls, WrongSetting, read_settings

KEY = "never-guessed-0123456789-by-nobody"


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


def test_the_grace_of_sessions() -> None:
    assert read_settings({}).session_grace == 3600
    assert read_settings({"PSERVER_SESSION_GRACE": "0"}).session_grace == 0
    for wrong in ("-1", "1h", "604801", "9" * 30, "nan"):
        with pytest.raises(WrongSetting, match="PSERVER_SESSION_GRACE"):
            read_settings({"PSERVER_SESSION_GRACE": wrong})


@pytest.mark.parametrize("key", ["x" * 64, "changeme" * 8, "0123456789abcdef" * 4, "short"])
def test_a_weak_network_key_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(WrongSetting, match=r"PSERVER_NETWORK_KEY gives a key that .*keygen") as caught:
        read_settings({"PSERVER_NETWORK_KEY": key})
    assert key not in str(caught.value)


def test_tls_to_the_locators_is_on_when_their_ca_is_named(tmp_path: Path) -> None:
    for name in ("ca", "cert"):
        (tmp_path / name).write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "key").touch(0o600)
    ca = {"PSERVER_LOCATOR_CA": str(tmp_path / "ca")}
    pair = {"PSERVER_LOCATOR_CERT": str(tmp_path / "cert"), "PSERVER_LOCATOR_KEY": str(tmp_path / "key")}
    assert read_settings({}).locator_tls is None
    assert read_settings(ca).locator_tls == LocatorTls(ca["PSERVER_LOCATOR_CA"], None, None)
    assert read_settings(ca | pair).locator_tls == LocatorTls(str(tmp_path / "ca"), *pair.values())
    wrong = (pair, ca | {"PSERVER_LOCATOR_CERT": pair["PSERVER_LOCATOR_CERT"]}, {"PSERVER_LOCATOR_CA": str(tmp_path)})
    for settings in (*wrong, {"PSERVER_LOCATOR_CA": str(tmp_path / "key")}):
        with pytest.raises(WrongSetting, match="PSERVER_LOCATOR_C"):
            read_settings(settings)


def test_a_client_key_that_every_user_can_read_is_told(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text("-----BEGIN CERTIFICATE-----\n")
        (tmp_path / name).chmod(0o644)
    named = {f"PSERVER_LOCATOR_{name.upper()}": str(tmp_path / name) for name in ("ca", "cert", "key")}
    (line,) = read_settings(named).warnings
    assert "PSERVER_LOCATOR_KEY" in line
