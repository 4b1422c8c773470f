"""What a service leaves for the people of its machine, and how a copied identity is put aside."""

import stat
from pathlib import Path

import pytest

from pserver.identity import Identity, StateFolder, forget_identity
from pserver.model import Unavailable
from pserver.running.client_access import leave_access


def test_the_token_is_for_the_group_and_the_address_for_all(tmp_path: Path) -> None:
    for _ in range(2):  # a restart finds the old ones
        leave_access(tmp_path, "secret", "127.0.0.1:8101")
    token, settings = tmp_path / "client-token", tmp_path / "client.env"
    assert token.read_text() == "secret"
    assert stat.S_IMODE(token.stat().st_mode) == 0o640
    assert stat.S_IMODE(settings.stat().st_mode) == 0o644
    assert settings.read_text() == f"PCLIENT_PSERVER_URL=http://127.0.0.1:8101\nPCLIENT_TOKEN_FILE={token}\n"
    assert {path.name for path in tmp_path.iterdir()} == {"client-token", "client.env"}


def test_without_the_setting_nothing_is_left() -> None:
    leave_access(None, "secret", "127.0.0.1:8101")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"PSERVER_CLIENT_DIR: .*nowhere"):
        leave_access(tmp_path / "nowhere", "secret", "127.0.0.1:8101")


def test_a_forgotten_identity_is_put_aside_and_a_new_one_made(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    try:
        assert not forget_identity(state)
        before = Identity(state, None)
        (tmp_path / "index.sqlite").write_text("stays")
        assert forget_identity(state)
        after = Identity(state, None)
    finally:
        state.close()
    assert after.peer_id != before.peer_id
    assert after.client_token != before.client_token
    assert (tmp_path / "client-token.old").read_text() == before.client_token
    assert (tmp_path / "index.sqlite").read_text() == "stays"
