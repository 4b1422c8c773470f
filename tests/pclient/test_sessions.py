"""The file of the session: its owner's only, replaced in one step, one for each PServer."""

import json
import os
import stat
from pathlib import Path

import pytest

from pclient.model import PClientError, Refused
from pclient.sessions import Kept, Session, SessionFile

SESSION = Session("p2ps_" + "x" * 43, "anna", "member", 1_800_000_000)
URL = "http://127.0.0.1:8101"


@pytest.fixture
def kept(tmp_path: Path) -> SessionFile:
    return SessionFile(tmp_path / "state" / "sessions", URL)


def test_a_session_is_kept_and_forgotten(kept: SessionFile) -> None:
    assert kept.read() == Kept(None)
    kept.write(SESSION)
    assert kept.read() == Kept(SESSION)
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700
    kept.forget()
    kept.forget()
    assert kept.read() == Kept(None)


def test_each_pserver_has_its_own(kept: SessionFile, tmp_path: Path) -> None:
    kept.write(SESSION)
    assert SessionFile(kept.path.parent, "http://127.0.0.1:8102").read() == Kept(None)
    assert SessionFile(kept.path.parent, URL.upper()).read() == Kept(SESSION)


def test_a_session_of_another_pserver_is_not_sent_to_this_one(kept: SessionFile) -> None:
    other = SessionFile(kept.path.parent, "http://127.0.0.1:8102")
    other.write(SESSION)
    other.path.rename(kept.path)
    assert kept.read().session is None


def test_a_file_that_others_can_read_is_made_private_and_told(kept: SessionFile) -> None:
    kept.write(SESSION)
    for mode in (0o644, 0o640, 0o606, 0o620):
        kept.path.chmod(mode)
        read = kept.read()
        assert read.session == SESSION
        assert "other users could read" in read.warning
        assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert kept.read().warning == ""


def test_a_file_of_another_user_is_refused(kept: SessionFile, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.write(SESSION)
    monkeypatch.setattr(os, "geteuid", lambda: kept.path.stat().st_uid + 1)
    if kept.path.stat().st_uid != 0:  # what is root's is trusted
        with pytest.raises(Refused, match="is not your file"):
            kept.read()
    else:
        os.chown(kept.path, 12345, -1)
        monkeypatch.setattr(os, "geteuid", lambda: 54321)
        with pytest.raises(Refused, match="is not your file"):
            kept.read()


def test_what_is_no_plain_file_is_refused(kept: SessionFile, tmp_path: Path) -> None:
    kept.write(SESSION)
    kept.path.rename(tmp_path / "elsewhere")
    kept.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="cannot read your session"):
        kept.read()
    kept.path.unlink()
    os.mkfifo(kept.path, 0o600)
    with pytest.raises(Refused, match="is not your file"):
        kept.read()
    kept.write(SESSION)  # a login puts it right
    assert kept.read() == Kept(SESSION)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "null",
        "\ud800",
        json.dumps({"url": URL, "secret": "p2ps_x", "user": "a", "role": "", "expires": 1}),
    ],
)
def test_a_file_that_holds_no_session_counts_as_none_and_is_told(kept: SessionFile, content: str) -> None:
    kept.write(SESSION)
    kept.path.write_bytes(content.encode(errors="surrogatepass"))
    read = kept.read()
    assert read.session is None
    assert "holds no session" in read.warning


def test_a_session_that_cannot_be_kept_leaves_the_old_one(kept: SessionFile, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.write(SESSION)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PClientError, match=r"cannot keep your session in .*: No space left"):
        kept.write(Session("p2ps_" + "y" * 43, "bert", "member", 1))
    assert kept.read() == Kept(SESSION)
    assert list(kept.path.parent.iterdir()) == [kept.path]
