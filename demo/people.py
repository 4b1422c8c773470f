"""The people of the demo and of the cluster: their passwords lie in files, and are given on stdin, not as arguments."""

import secrets
from collections.abc import Sequence
from pathlib import Path


class People:
    """Their passwords in `folder`, a file each, readable by its owner only."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            self.password_file(name).touch(mode=0o600)
            self.password_file(name).write_text(f"{secrets.token_urlsafe(12)}\n")

    def password_file(self, name: str) -> Path:
        """Where that person's password is."""
        return self._folder / f"{name}.password"

    def password(self, name: str) -> str:
        """What that person would type, and Enter."""
        return self.password_file(name).read_text()
