"""Which peer is meant, when it runs as a service of this machine."""

from pathlib import Path

import pytest

from pclient.model import WrongUsage
from pclient.services import who_may_read
from pclient.settings import DEFAULT_URL, settings_from


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _service(services: Path, name: str, port: int) -> None:
    (services / name).mkdir(parents=True)
    said = f"PCLIENT_PSERVER_URL=http://127.0.0.1:{port}\nPCLIENT_TOKEN_FILE={services / name}/client-token\n"
    (services / name / "client.env").write_text(said)


def test_the_only_service_is_meant_when_nothing_else_is_said(tmp_path: Path) -> None:
    services, home = tmp_path / "run", {"XDG_STATE_HOME": str(tmp_path / "home")}
    assert settings_from(home, services=services).url == DEFAULT_URL
    _service(services, "peer1", 8109)
    found = settings_from(home, services=services)
    assert found.url == "http://127.0.0.1:8109"
    assert found.token_file == services / "peer1" / "client-token"


def test_what_is_said_and_a_peer_of_one_s_own_win(tmp_path: Path) -> None:
    services, home = tmp_path / "run", {"XDG_STATE_HOME": str(tmp_path / "home")}
    _service(services, "peer1", 8109)
    assert settings_from(home, url="http://flag:1", services=services).url == "http://flag:1"
    assert settings_from(home | {"PCLIENT_PSERVER_URL": "http://env:1"}, services=services).url == "http://env:1"
    own = tmp_path / "home" / "pserver" / "client-token"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    assert settings_from(home, services=services).token_file == own


def test_of_several_one_must_be_named(tmp_path: Path) -> None:
    services, home = tmp_path / "run", {"XDG_STATE_HOME": str(tmp_path / "home")}
    _service(services, "peer1", 8109)
    _service(services, "peer2", 8110)
    with pytest.raises(WrongUsage, match=r"--env-file \S+/peer1/client.env or --env-file \S+/peer2/client.env"):
        settings_from(home, services=services)
    named = settings_from(home, env_file=str(services / "peer2" / "client.env"), services=services)
    assert named.url == "http://127.0.0.1:8110"


def test_who_may_not_read_the_token_is_told_of_its_group(tmp_path: Path) -> None:
    (tmp_path / "client-token").touch()
    assert "usermod -aG" in who_may_read(tmp_path / "client-token")
    assert "another user" in who_may_read(tmp_path / "nowhere")
