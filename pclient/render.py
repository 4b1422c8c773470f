"""Files, peers and the PServer's state as tables. Pure: nothing is printed here."""

from collections.abc import Sequence

from pclient import table, text
from pclient.model import FileEntry, FileGroup, Holder, PeerInfo, Skipped, Status
from pclient.table import Cell, Column, Table, word

_NUMBER = Column("#", right=True)
_ID = Column("id", rank=3)
_NAMED_HOLDERS = 3  # when a file is to be chosen: whose it is, is what one decides by
_SKIPPED_NAME_CELLS = 40


def groups(found: Sequence[FileGroup], first_number: int = 1) -> Table:
    """Search results, a line a file. For programs: name, size, holders, file id."""
    columns = [_NUMBER, Column("name", wraps=True), Column("size", right=True), Column("holders", right=True), _ID]
    rows = [
        [word(number), _names(group), table.size(group["size"]), _holders(group), table.short_id(group["file_id"])]
        for number, group in enumerate(found, start=first_number)
    ]
    return Table(columns, rows)


def files(found: Sequence[FileEntry], first_number: int = 1) -> Table:
    """The files of a share. For programs: name, size, file id, state (ok, partial)."""
    columns = [_NUMBER, Column("name", wraps=True), Column("size", right=True), _ID, Column("", rank=1)]
    rows = [
        [
            word(number),
            table.name(entry["name"]),
            table.size(entry["size"]),
            table.short_id(entry["file_id"]),
            Cell("partial", "partial") if entry["partial"] else Cell("", "ok"),
        ]
        for number, entry in enumerate(found, start=first_number)
    ]
    return Table(columns, rows)


def peers(found: Sequence[PeerInfo]) -> Table:
    """Peers. For programs: name, peer id, URL, files, bytes, free bytes, accepts uploads (yes, no), version."""
    columns = [
        Column("peer", wraps=True),
        Column("id", rank=4),
        Column("address", rank=3),
        Column("files", right=True),
        Column("size", right=True),
        Column("free", right=True, rank=1),
        Column("uploads", rank=2),
        Column("version", rank=5),
    ]
    return Table(columns, [_peer_row(info) for info in found])


def _peer_row(info: PeerInfo) -> list[Cell]:
    return [
        table.name(info["peer"]["name"]),
        table.short_id(info["peer"]["peer_id"]),
        word(info["peer"]["url"]),
        word(info["files"]),
        table.size(info["bytes"]),
        table.size(info["free_bytes"]),
        word("yes" if info["accepts_uploads"] else "no"),
        word(info["version"]),
    ]


def group_facts(group: FileGroup) -> Table:
    """One file, for a person: its ids in full."""
    names = group["names"] or ["(no name)"]
    return facts(
        [
            *[("name" if index == 0 else "also", table.name(name)) for index, name in enumerate(names)],
            ("size", word(_exact(group["size"]))),
            ("id", word(f"id:{group['file_id']}")),
            ("sha256", word(f"sha256:{group['sha256']}")),
            ("held by", word(text.count_of(group["holder_count"], "peer"))),
        ]
    )


def holders(found: Sequence[Holder]) -> Table:
    """Who has a file, for a person."""
    columns = [
        Column("peer", wraps=True),
        Column("name there", wraps=True),
        Column("id", rank=2),
        Column("sha256", rank=1),
    ]
    rows = [
        [
            table.name(holder["peer"]["name"]),
            table.name(holder["name"]),
            table.short_id(holder["peer"]["peer_id"]),
            word(_holder_state(holder)),
        ]
        for holder in found
    ]
    return Table(columns, rows)


def holdings(found: Sequence[FileGroup]) -> Table:
    """For programs, a line a holder: file id, size, sha256, peer name, peer id, name there, state."""
    rows = [
        [
            table.short_id(group["file_id"]),
            table.size(group["size"]),
            table.short_id(group["sha256"]),
            table.name(holder["peer"]["name"]),
            table.short_id(holder["peer"]["peer_id"]),
            table.name(holder["name"]),
            word(_holder_state(holder)),
        ]
        for group in found
        for holder in group["holders"]
    ]
    return Table([Column("")] * 7, rows, has_header=False)


def facts(rows: Sequence[tuple[str, Cell]]) -> Table:
    """Pairs of a label and a value."""
    return Table([Column(""), Column("", wraps=True)], [[word(label), value] for label, value in rows], False)


def status(now: Status) -> Table:
    """How the own PServer is."""
    share = now["share"]
    work = [f"{text.count_of(share['hashing'], 'file')} to hash"] if share["hashing"] else []
    work += ["scanning"] if share["scanning"] else []
    rows = [
        ("peer", table.name(now["peer"]["name"])),
        ("peer id", word(now["peer"]["peer_id"])),
        ("address", word(now["peer"]["url"])),
        ("reachable", word(_reachable(now))),
        ("version", word(now["version"])),
        ("up", Cell(text.duration(now["uptime_seconds"]), str(int(now["uptime_seconds"])))),
        ("share", word(share["path"])),
        ("files", word(share["files"])),
        ("size", table.size(share["bytes"])),
        ("free", table.size(share["free_bytes"])),
        *([("indexing", word(", ".join(work)))] if work else []),
        *([("share error", word(share["error"]))] if share["error"] else []),
        *[("locator", word(_with_why(one["address"], one["state"], one["why"]))) for one in now["locators"]],
        *[("neighbour", word(f"{one['peer']['name']}: {one['state']}")) for one in now["neighbours"]],
        ("transfers", _transfer_counts(now)),
        ("uploads", word("accepted from other peers" if now["accepts_uploads"] else "not accepted")),
        *[("not shared", _skipped(one)) for one in share["skipped"]],
    ]
    unnamed = share["skipped_count"] - len(share["skipped"])
    if unnamed > 0:
        rows.append(("not shared", word(f"and {unnamed} more")))
    return facts(rows)


def one_line(group: FileGroup) -> str:
    """A file in a line, to choose from."""
    name = group["names"][0] if group["names"] else "(no name)"
    holders = [holder["peer"]["name"] for holder in group["holders"][:_NAMED_HOLDERS]]
    more = group["holder_count"] - len(holders)
    held = ", ".join(holders) + (f" and {more} more" if more > 0 else "")
    return f"{name}  {text.size(group['size'])}  held by {held}  id:{text.short_id(group['file_id'])}…"


def is_well(now: Status) -> bool:
    """Whether nothing of it is wrong: what is not known yet is not."""
    member = not now["locators"] or any(one["state"] in {"registered", "trying"} for one in now["locators"])
    return member and now["reachable"]["ok"] is not False and not now["share"]["error"]


def _transfer_counts(now: Status) -> Cell:
    """All counts for a program; for a person those that are not 0."""
    counts = [(f"{count} {state}", count) for state, count in now["transfers"].items()]
    some = [words for words, count in counts if count]
    return Cell(", ".join(some) or "none in work", ", ".join(words for words, _count in counts))


def _skipped(one: Skipped) -> Cell:
    """In whole for a program; a person sees where a long name begins and ends."""
    name, why = text.name(one["name"]), text.harmless(one["why"])
    return Cell(f"{text.shortened(name, _SKIPPED_NAME_CELLS)}: {why}", f"{name}: {why}")


def _names(group: FileGroup) -> Cell:
    first = text.name(group["names"][0]) if group["names"] else "(no name)"
    more = len(group["names"]) - 1
    return Cell(f"{first} (+{text.count_of(more, 'other name')})" if more > 0 else first, first)


def _holders(group: FileGroup) -> Cell:
    return word(group["holder_count"])


def _exact(count: int) -> str:
    return f"{text.size(count)} ({count} bytes)" if count >= 1024 else text.size(count)


def _holder_state(holder: Holder) -> str:
    if holder["partial"]:
        return "partial"
    return "checked" if holder["sha256_checked"] else "unchecked"


def _reachable(now: Status) -> str:
    ok, why = now["reachable"]["ok"], now["reachable"]["why"]
    known = "not known yet" if ok is None else "yes" if ok else "no"
    return f"{known} ({why})" if why else known


def _with_why(subject: str, state: str, why: str | None) -> str:
    plain = (why or "").replace(f"the locator at {subject} ", "")  # the subject stands before it
    return f"{subject}: {state} ({plain})" if plain else f"{subject}: {state}"
