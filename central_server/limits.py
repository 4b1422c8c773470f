"""How much of anything one request may carry, and what an id, a text or a name must look like.

Each check returns what it was given, or raises InvalidRequest; nothing has been applied then.
"""

import asyncio
from collections.abc import Sequence, Sized

from central_server.model import Announcement, Entry, InvalidRequest, Query, Registration
from protos.names import InvalidName, check_name, check_prefix

MAX_ENTRIES = 2000
MAX_QUERIES = 256
MAX_EXCLUDED = 256
MAX_TARGETS = 64
MAX_HOLDERS = 64
MAX_WORDS_CHARACTERS = 256
# Sums of sizes must stay within the 64-bit integers of every store, whatever a liar announces.
MAX_SIZE = 2**50
MAX_NUMBER = 2**63 - 1
ID_BYTES = 32
SHORT_ID_BYTES = 16  # leases and epochs
_PER_TURN = 50  # names checked before others have their turn: about a tenth of a millisecond


def check_id(value: bytes, what: str, length: int = ID_BYTES) -> bytes:
    """A raw id of `length` bytes."""
    if len(value) != length:
        raise InvalidRequest(why=f"{what} has {len(value)} bytes instead of {length}")
    return value


def check_count(values: Sized, limit: int, what: str) -> None:
    """At most `limit` of them."""
    if len(values) > limit:
        raise InvalidRequest(why=f"at most {limit} {what} at a time, not {len(values)}")


def check_number(value: int, limit: int, what: str) -> int:
    """At most `limit`."""
    if value > limit:
        raise InvalidRequest(why=f"{what} is {value}, more than {limit}")
    return value


def check_text(value: str, limit: int, what: str) -> str:
    """At most `limit` characters, all printable."""
    if len(value) > limit:
        raise InvalidRequest(why=f"{what} has {len(value)} characters, more than {limit}")
    if not value.isprintable():
        raise InvalidRequest(why=f"{what} has control characters")
    return value


def check_epoch(epoch: bytes, *, may_be_empty: bool) -> bytes:
    """16 bytes, or none."""
    return epoch if may_be_empty and not epoch else check_id(epoch, "the epoch", SHORT_ID_BYTES)


def page_size(asked: int, default: int, limit: int) -> int:
    """The size of a page: 0 asks for the default, more than the limit gets the limit."""
    return min(asked, limit) or default


def check_registration(said: Registration) -> None:
    """Everything a peer says of itself but its address, which the dial-back checks."""
    if not check_text(said.name, 64, "the peer's name").strip():
        raise InvalidRequest(why="the peer's name is empty")
    check_text(said.version, 32, "the version")
    check_epoch(said.epoch, may_be_empty=True)
    check_number(said.sequence, MAX_NUMBER, "the sequence")
    check_number(said.free_bytes, MAX_NUMBER, "the free space")


def check_queries(queries: Sequence[Query]) -> None:
    """What a Locate asks for."""
    check_count(queries, MAX_QUERIES, "queries")
    for query in queries:
        if isinstance(query.value, bytes):
            check_id(query.value, query.by)
        else:
            _check_name(query.value)


def check_folder(folder: str) -> str:
    """ "docs/": the beginning of names below a folder."""
    if not folder.endswith("/"):
        raise InvalidRequest(why="a folder ends with a slash")
    return check_beginning(folder)


def check_beginning(prefix: str) -> str:
    """What a name may begin with."""
    try:
        return check_prefix(prefix)
    except InvalidName as error:
        raise InvalidRequest(why=str(error)) from None


async def check_announcement(batch: Announcement) -> None:
    """One batch of an index. Lets others have their turn: 2,000 names take some milliseconds."""
    check_epoch(batch.epoch, may_be_empty=False)
    check_number(batch.sequence, MAX_NUMBER, "the sequence")
    check_count(batch.added, MAX_ENTRIES, "files")
    check_count(batch.removed, MAX_ENTRIES, "removed names")
    _check_kind(batch)
    for start in range(0, len(batch.added), _PER_TURN):
        for entry in batch.added[start : start + _PER_TURN]:
            _check_entry(entry)
        await asyncio.sleep(0)
    for name in batch.removed:
        _check_name(name)


def _check_kind(batch: Announcement) -> None:
    if batch.snapshot_part is not None:
        if batch.removed:
            raise InvalidRequest(why="a snapshot cannot remove names")
    elif batch.sequence <= batch.previous_sequence:
        raise InvalidRequest(why="a delta's sequence must be greater than its previous sequence")


def _check_entry(entry: Entry) -> None:
    _check_name(entry.name)
    if len(entry.file_id) != ID_BYTES or len(entry.sha256) != ID_BYTES:
        raise InvalidRequest(why=f"the file id and sha256 of {entry.name!r} must have {ID_BYTES} bytes")
    if entry.size > MAX_SIZE:
        raise InvalidRequest(why=f"{entry.name!r} is larger than any file can be")


def _check_name(name: str) -> None:
    try:
        check_name(name)
    except InvalidName as error:
        raise InvalidRequest(why=f"{error}: {name[:80]!r}") from None
