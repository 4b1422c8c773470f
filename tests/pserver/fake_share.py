"""A share in memory, as much of it as lookups ask; test_holdings.py runs on it and on the real one."""

import hashlib
import re

from pserver.model import SharedFile
from pserver.pieces import Manifest, piece_count_for, piece_size_for


def manifest_of(content: str, size: int = 10) -> Manifest:
    """A manifest that differs with `content`."""
    sha256 = hashlib.sha256(content.encode()).digest()
    return Manifest(size, piece_size_for(size), sha256, sha256 * piece_count_for(size))


class FakeShare:
    """Files by name. Search knows letters and digits, as they are."""

    def __init__(self) -> None:
        self._files: dict[str, SharedFile] = {}

    def put(self, name: str, raw_name: bytes, stamp: tuple[int, int, int, int], manifest: Manifest, ok: bool) -> None:
        """As the share; `ok`: this peer computed the sha256."""
        sequence = len(self._files) + 1
        self._files[name] = SharedFile(name, raw_name, *stamp, manifest.file_id, manifest.sha256, ok, sequence)

    def by_name(self, name: str) -> SharedFile | None:
        """As the share."""
        return self._files.get(name)

    def all_by_file_id(self, file_id: bytes) -> list[SharedFile]:
        """As the share."""
        return [file for _name, file in sorted(self._files.items()) if file.file_id == file_id]

    def all_by_sha256(self, sha256: bytes) -> list[SharedFile]:
        """As the share."""
        return [file for _name, file in sorted(self._files.items()) if file.sha256 == sha256 and file.sha256_checked]

    def files(self, prefix: str, after: str, limit: int) -> list[SharedFile]:
        """As the share."""
        found = [file for name, file in sorted(self._files.items()) if name.startswith(prefix) and name > after]
        return found[:limit]

    def search(self, words: str, limit: int) -> list[SharedFile]:
        """As the share."""
        wanted = _words(words)
        matching = [
            file
            for name, file in self._files.items()
            if wanted and all(any(have.startswith(word) for have in _words(name)) for word in wanted)
        ]
        return matching[:limit]

    def totals(self) -> tuple[int, int]:
        """As the share."""
        return len(self._files), sum(file.size for file in self._files.values())

    def close(self) -> None:
        """As the share."""


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())
