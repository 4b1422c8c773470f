"""Settings: what they mean, and the one line a wrong one gives."""

import ipaddress
from pathlib import Path

import pytest

from central_server.people import AccountTerms
from central_server.settings import WrongSetting, read_settings

HOME = {"HOME": "/home/ann"}
KEY = "never-guessed-0123456789-by-nobody"


def test_defaults_suit_one_machine() -> None:
    settings = read_settings(HOME)
    assert (settings.host, settings.port) == ("127.0.0.1", 51015)
    assert settings.store == Path("/home/ann/.local/state/central-server/locator.sqlite")
    assert (settings.lease_seconds, settings.grace_seconds) == (30, 30)
    assert settings.network_key is None and settings.on_loopback


def test_every_setting_is_read(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")
    settings = read_settings(
        {
            "LOCATOR_LISTEN": "[::]:0",
            "LOCATOR_STORE": "sqlite:////var/lib/x.sqlite",
            "LOCATOR_STATE_DIR": "/srv/state",
            "LOCATOR_NETWORK_KEY_FILE": str(tmp_path / "key"),
            "LOCATOR_LEASE_SECONDS": "12.5",
            "LOCATOR_ALLOWED_NETWORKS": "10.0.0.0/8, fd00::/8",
            "LOCATOR_MAX_FILES_PER_PEER": "5",
            "LOCATOR_LOG_LEVEL": "debug",
        }
    )
    assert (settings.host, settings.port, settings.on_loopback) == ("::", 0, False)
    assert settings.store == Path("/var/lib/x.sqlite")
    assert settings.state_dir == Path("/srv/state")
    assert settings.network_key == KEY.encode()
    assert KEY not in repr(settings)
    assert settings.grace_seconds == 12.5
    assert settings.allowed_networks == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
    assert (settings.max_files_per_peer, settings.log_level) == (5, "DEBUG")


def test_the_store_follows_the_state_folder() -> None:
    assert read_settings({"LOCATOR_STATE_DIR": "/srv/x"}).store == Path("/srv/x/locator.sqlite")
    assert read_settings({**HOME, "XDG_STATE_HOME": "/xdg"}).state_dir == Path("/xdg/central-server")
    assert read_settings({**HOME, "LOCATOR_STORE": "sqlite:///here.sqlite"}).store == Path("here.sqlite")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOCATOR_LISTEN", "51015"),
        ("LOCATOR_LISTEN", "127.0.0.1:http"),
        ("LOCATOR_LISTEN", "127.0.0.1:65536"),
        ("LOCATOR_LISTEN", "0.0.0.0:51015"),
        ("LOCATOR_STORE", "redis://x"),
        ("LOCATOR_STORE", "sqlite:///"),
        ("LOCATOR_NETWORK_KEY", "short"),
        ("LOCATOR_NETWORK_KEY_FILE", "/does/not/exist"),
        ("LOCATOR_LEASE_SECONDS", "soon"),
        ("LOCATOR_LEASE_SECONDS", "nan"),
        ("LOCATOR_LEASE_SECONDS", "0"),
        ("LOCATOR_GRACE_SECONDS", "-1"),
        ("LOCATOR_ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("LOCATOR_MAX_FILES_PER_PEER", "0"),
        ("LOCATOR_LOG_LEVEL", "chatty"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(name: str, value: str) -> None:
    with pytest.raises(WrongSetting, match=name) as caught:
        read_settings({**HOME, name: value})
    assert "\n" not in str(caught.value)


def test_an_open_network_off_loopback_needs_saying() -> None:
    with pytest.raises(WrongSetting, match="LOCATOR_OPEN=1"):
        read_settings({**HOME, "LOCATOR_LISTEN": "0.0.0.0:1"})
    read_settings({**HOME, "LOCATOR_LISTEN": "0.0.0.0:1", "LOCATOR_OPEN": "1"})
    read_settings({**HOME, "LOCATOR_LISTEN": "0.0.0.0:1", "LOCATOR_NETWORK_KEY": KEY})
    with pytest.raises(WrongSetting, match="LOCATOR_OPEN"):
        read_settings({**HOME, "LOCATOR_LISTEN": "0.0.0.0:1", "LOCATOR_OPEN": "yes"})


def test_a_secret_is_given_once() -> None:
    with pytest.raises(WrongSetting, match="both"):
        read_settings({**HOME, "LOCATOR_NETWORK_KEY": KEY, "LOCATOR_NETWORK_KEY_FILE": "/x"})


def test_a_misspelt_name_is_told_with_the_nearest_one() -> None:
    (line,) = read_settings({**HOME, "LOCATOR_LEASE_SECOND": "5", "PSERVER_X": "not ours"}).warnings
    assert "LOCATOR_LEASE_SECOND " in line and "LOCATOR_LEASE_SECONDS?" in line


def test_every_setting_there_is_is_known() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    names = {line.split("`")[1] for line in readme.splitlines() if line.startswith("| `LOCATOR_")}
    assert len(names) > 8
    assert read_settings({**HOME, **dict.fromkeys(names, ""), "LOCATOR_NETWORK_KEY": KEY}).warnings == ()


def test_a_key_that_every_user_can_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "network.key"
    path.write_text(KEY)
    path.chmod(0o644)
    (line,) = read_settings({**HOME, "LOCATOR_NETWORK_KEY_FILE": str(path)}).warnings
    assert "LOCATOR_NETWORK_KEY_FILE" in line and str(path) in line and KEY not in line
    path.chmod(0o600)
    assert read_settings({**HOME, "LOCATOR_NETWORK_KEY_FILE": str(path)}).warnings == ()


@pytest.mark.parametrize("key", ["x" * 64, "changeme" * 8, "0123456789abcdef" * 4])
def test_a_weak_key_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(WrongSetting, match=r"LOCATOR_NETWORK_KEY gives a key that .*keygen") as caught:
        read_settings({**HOME, "LOCATOR_NETWORK_KEY": key})
    assert key not in str(caught.value)


def test_accounts_are_off_unless_they_are_turned_on() -> None:
    assert read_settings(HOME).accounts is None
    accounts = read_settings({**HOME, "LOCATOR_ACCOUNTS": "on"}).accounts
    assert accounts == AccountTerms(open_signup=False, session_seconds=7 * 24 * 3600)
    settings = read_settings({**HOME, "LOCATOR_ACCOUNTS": "ON", "LOCATOR_SIGNUP": "open", "LOCATOR_SESSION_HOURS": "2"})
    assert settings.accounts == AccountTerms(open_signup=True, session_seconds=7200)
    assert settings.accounts_store == settings.state_dir / "accounts.sqlite"


@pytest.mark.parametrize(
    ("name", "value"), [("LOCATOR_ACCOUNTS", "1"), ("LOCATOR_SIGNUP", "yes"), ("LOCATOR_SESSION_HOURS", "0")]
)
def test_a_wrong_word_about_accounts_is_named_also_while_they_are_off(name: str, value: str) -> None:
    with pytest.raises(WrongSetting, match=name):
        read_settings({**HOME, name: value})


def test_accounts_off_loopback_need_tls(tmp_path: Path) -> None:
    asked = {**HOME, "LOCATOR_LISTEN": "0.0.0.0:1", "LOCATOR_NETWORK_KEY": KEY, "LOCATOR_ACCOUNTS": "on"}
    with pytest.raises(WrongSetting, match="LOCATOR_TLS_CERT"):
        read_settings(asked)
    for name in ("cert", "key"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o600)
    tls = {"LOCATOR_TLS_CERT": str(tmp_path / "cert"), "LOCATOR_TLS_KEY": str(tmp_path / "key")}
    assert read_settings({**asked, **tls}).accounts is not None
    assert read_settings({**asked, "LOCATOR_LISTEN": "[::1]:1"}).accounts is not None
