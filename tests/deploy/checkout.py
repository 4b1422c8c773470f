"""A clean checkout of this tree, as git has it and as it stands."""

import shutil
import subprocess
from pathlib import Path

from tests.deploy.machine import ROOT


def check_out(into: Path) -> Path:
    """Copy what git knows, or would take, and nothing else; a tree without git is copied as far as installing needs."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        shutil.copytree(ROOT, into, ignore=shutil.ignore_patterns(".venv*", "__pycache__", "*.egg-info", ".*_cache"))
        return into
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)
    return into
