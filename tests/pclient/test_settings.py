"""Settings and the token."""

from pathlib import Path

import pytest

from pclient.model import Refused, WrongUsage
from pclient.settings import DEFAULT_URL, NAMES, read_token, settings_from


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_defaults(tmp_path: Path) -> None:
    settings = settings_from({"XDG_STATE_HOME": str(tmp_path)})
    assert settings.url == DEFAULT_URL
    assert settings.token_file == tmp_path / "pserver" / "client-token"
    assert settings.history_file == tmp_path / "pclient" / "history"


def test_a_relative_state_folder_is_ignored() -> None:
    assert settings_from({"XDG_STATE_HOME": "here"}).token_file.is_absolute()


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PCLIENT_PSERVER_URL=http://file:1\nPCLIENT_TOKEN_FILE=/of/file\n")
    assert settings_from({}).url == "http://file:1"
    assert settings_from({"PCLIENT_PSERVER_URL": "http://env:1"}).url == "http://env:1"
    assert settings_from({"PCLIENT_PSERVER_URL": "http://env:1"}, url="http://flag:1/").url == "http://flag:1"
    assert settings_from({}, token_file="/of/flag").token_file == Path("/of/flag")
    assert settings_from({}).token_file == Path("/of/file")


def test_an_env_file_that_was_named_must_be_there() -> None:
    with pytest.raises(WrongUsage, match=r"nowhere\.env"):
        settings_from({}, env_file="nowhere.env")


@pytest.mark.parametrize(
    "url",
    ["localhost:8101", "ftp://x", "http://", "http://u@h", "http://h/path", "http://h?q", "http://h:99999", "http://é"],
)
def test_a_wrong_url_is_named(url: str) -> None:
    with pytest.raises(WrongUsage, match="the PServer's URL must be like"):
        settings_from({"PCLIENT_PSERVER_URL": url})


def test_the_token_is_read_without_space_around_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    assert read_token(tmp_path / "token") == "abc"


@pytest.mark.parametrize("content", [b"", b"\n", b"a\x00b", b"\xff\xfe", b"a\nb", b"x" * 5000])
def test_what_is_no_token_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(Refused, match="holds no client token"):
        read_token(tmp_path / "token")


def test_a_missing_or_unreadable_token_is_refused_with_help(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="another user"):
        read_token(tmp_path / "nowhere")
    with pytest.raises(Refused, match="cannot read the client token"):
        read_token(tmp_path)


def test_a_misspelt_name_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PCLIENT_PSERVER_URI=http://file:1\nPSERVER_X=not ours\n")
    (line,) = settings_from({"PCLIENT_TOKEN_FILE": "x", "PCLIENT_DEBUG": "0"}).warnings
    assert "PCLIENT_PSERVER_URI " in line and "PCLIENT_PSERVER_URL?" in line


def test_every_setting_there_is_is_known() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert {line.split("`")[1] for line in readme.splitlines() if line.startswith("| `PCLIENT_")} == NAMES
