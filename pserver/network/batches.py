"""Cutting what a share has to announce into batches that may travel: 2,000 entries and about a mebibyte each."""

from typing import Protocol

from pserver.model import Changes, FileEntry

MAX_BATCH_ENTRIES = 2000
MAX_BATCH_BYTES = 1024 * 1024
_ENTRY_BYTES = 96  # of an entry as it travels, besides its name


class ChangingIndex(Protocol):
    """What is asked of the share."""

    def changes_since(self, sequence: int, limit: int) -> Changes | None:
        """At most `limit` changes after `sequence`, oldest first; None if they cannot all be told any more."""

    def snapshot(self, after_name: str, limit: int) -> list[FileEntry]:
        """At most `limit` files in the order of their names, from the first after `after_name` ("": the start)."""


def changes_that_fit(index: ChangingIndex, after: int) -> Changes | None:
    """As many of the changes after that sequence as one batch may have; None: a snapshot is needed."""
    limit = MAX_BATCH_ENTRIES
    changes = index.changes_since(after, limit)
    while changes is not None and limit > 1 and _travel_bytes(changes) > MAX_BATCH_BYTES:
        limit //= 2
        changes = index.changes_since(after, limit)
    return changes


def part_that_fits(index: ChangingIndex, after_name: str) -> tuple[list[FileEntry], bool]:
    """As many of the files after that name as one batch may have, and whether they are the last."""
    found = index.snapshot(after_name, MAX_BATCH_ENTRIES)
    room = MAX_BATCH_BYTES
    for count, entry in enumerate(found):
        room -= len(entry.name.encode()) + _ENTRY_BYTES
        if room < 0:
            return found[:count], False
    return found, len(found) < MAX_BATCH_ENTRIES


def _travel_bytes(changes: Changes) -> int:
    added = sum(len(entry.name.encode()) + _ENTRY_BYTES for entry in changes.added)
    return added + sum(len(name.encode()) for name in changes.removed)
