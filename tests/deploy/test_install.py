"""`make install` into a root of its own, as a package or an image would: nothing of this machine is touched."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.deploy.checkout import check_out

pytestmark = [pytest.mark.long, pytest.mark.timeout(400), pytest.mark.xdist_group("machines")]
PREFIX = "opt/p2p-file-sharing"


def _make(checkout: Path, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    python = [] if Path("/usr/bin/python3").exists() else ["PYTHON=python3"]
    return subprocess.run(
        ["make", "--no-print-directory", "-C", str(checkout), *words, f"DESTDIR={root}", *python],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHON"},
    )


def _release(root: Path, which: str) -> str:
    return os.readlink(root / PREFIX / which)


def test_install_again_rollback_uninstall(tmp_path: Path) -> None:
    checkout, root = check_out(tmp_path / "checkout"), tmp_path / "root"
    first = _make(checkout, root, "install")
    assert first.returncode == 0, first.stderr
    release = _release(root, "current")
    _can_be_moved(root)
    assert not (checkout / "build").exists()  # the checkout is as it was

    again = _make(checkout, root, "install")
    assert again.returncode == 0, again.stderr
    assert "building" not in again.stdout
    assert _release(root, "current") == release
    assert _make(checkout, root, "rollback").returncode != 0  # there is nothing before

    _two_more(root)
    assert _make(checkout, root, "rollback").returncode == 0
    assert (_release(root, "current"), _release(root, "previous")) == ("releases/other", release)
    back = _make(checkout, root, "install")
    assert _release(root, "current") == release
    assert "removed the old release forgotten" in back.stdout

    (root / "etc/p2p/peer1.env").write_text("PSERVER_NAME=kept\n")
    assert _make(checkout, root, "uninstall").returncode == 0
    left = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir() or path.is_symlink()}
    assert left == {"etc/p2p/peer1.env"}
    assert _make(checkout, root, "uninstall", "PURGE=1").returncode == 0
    assert not (root / "etc/p2p").exists()


def _can_be_moved(root: Path) -> None:
    """Nothing names the folder that it was built in, and all that systemd needs is there."""
    named = subprocess.run(
        ["grep", "-rlIF", str(root), str(root / PREFIX / "current" / "bin"), str(root / "usr")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not named.stdout
    for path in ("systemd/system/pserver@.service", "systemd/system/central-server.service", "sysusers.d/p2p.conf"):
        assert (root / "usr/local/lib" / path).is_file()
    assert os.readlink(root / "usr/local/bin/pclient") == f"/{PREFIX}/current/bin/pclient"
    # Built in a folder with a long name, pip has /bin/sh in the first line, which runs what is in the second.
    begins = "".join((root / PREFIX / "current/bin/pserver").read_text().splitlines()[:2])
    assert f"/{PREFIX}/{_release(root, 'current')}/bin/python" in begins


def _two_more(root: Path) -> None:
    """As if two other releases were installed: one of them the one before this."""
    for name in ("other", "forgotten"):
        (root / PREFIX / "releases" / name).mkdir()
        (root / PREFIX / "releases" / name / ".whole").touch()
    (root / PREFIX / "previous").symlink_to("releases/other")


@pytest.mark.parametrize(
    ("prefix", "why"), [("/home/me/p2p", "home folder"), ("relative", "absolute"), ("/opt/a b", "only")]
)
def test_a_place_that_services_cannot_use_is_refused(tmp_path: Path, prefix: str, why: str) -> None:
    ended = subprocess.run(
        ["bash", "systemd/install.sh", "install"],
        cwd=Path(__file__).resolve().parents[2],
        env=os.environ | {"DESTDIR": str(tmp_path), "PREFIX": prefix},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert why in ended.stderr
    assert not list(tmp_path.iterdir())
