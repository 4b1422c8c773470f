"""Transfers as tables. Pure: nothing is printed here."""

from collections.abc import Sequence

from pclient import table, text
from pclient.model import Item, Source, Target, Transfer
from pclient.render import facts
from pclient.table import Cell, Column, Table, word


def transfers(found: Sequence[Transfer]) -> Table:
    """Transfers. For programs: id, kind, state, bytes done, bytes in all, rate, label, bottleneck."""
    columns = [
        Column("id"),
        Column("kind", rank=2),
        Column("state"),
        Column("done", right=True),
        Column("of", right=True, rank=1),
        Column("rate", right=True, rank=3),
        Column("what", wraps=True),
        Column("held up by", rank=4, wraps=True),
    ]
    return Table(columns, [_transfer_row(transfer) for transfer in found])


def _transfer_row(transfer: Transfer) -> list[Cell]:
    running = transfer["state"] == "running"
    share = percent(transfer["bytes_done"], transfer["bytes_total"], transfer["state"])
    return [
        word(transfer["id"]),
        word(transfer["kind"]),
        word(transfer["state"]),
        Cell(share, str(transfer["bytes_done"])),
        table.size(transfer["bytes_total"]),
        Cell(text.rate(transfer["rate"]) if running else "", str(int(transfer["rate"]))),
        table.name(transfer["label"]),
        word(transfer["bottleneck"] or ""),
    ]


def transfer_facts(transfer: Transfer) -> Table:
    """One transfer, without its sources, targets and items."""
    done, total = transfer["bytes_done"], transfer["bytes_total"]
    share = percent(done, total, transfer["state"])
    rows = [
        ("id", word(transfer["id"])),
        ("kind", word(transfer["kind"])),
        ("what", table.name(transfer["label"])),
        ("state", word(transfer["state"])),
        (
            "done",
            Cell(f"{share}, {text.size(done)} of {text.size(total)}", str(done)),
        ),
        ("files", word(f"{transfer['files_done']} of {transfer['files_total']}")),
    ]
    if transfer["state"] == "running":
        rows.append(("rate", Cell(text.rate(transfer["rate"]), str(int(transfer["rate"])))))
    if transfer["eta_seconds"] is not None:
        rows.append(("remaining", Cell(text.duration(transfer["eta_seconds"]), str(round(transfer["eta_seconds"])))))
    if transfer["standstill"]:
        rows.append(("waits", word(transfer["standstill"])))
    if transfer["bottleneck"]:
        rows.append(("held up by", word(transfer["bottleneck"])))
    if transfer["error"]:
        rows.append(("error", word(transfer["error"]["detail"])))
    rows.append(("begun", _time(transfer["created"])))
    if transfer["ended"]:
        rows.append(("ended", _time(transfer["ended"])))
    return facts(rows)


def sources(found: Sequence[Source]) -> Table:
    """The peers that a download reads from."""
    columns = [
        Column("source", wraps=True),
        Column("state"),
        Column("rate", right=True),
        Column("gave", right=True, rank=3),
        Column("pieces", right=True, rank=2),
        Column("errors", right=True, rank=1),
        Column("why", wraps=True),
    ]
    rows = [
        [
            table.name(source["peer"]["name"]),
            word(source["state"]),
            Cell(text.rate(source["rate"]), str(int(source["rate"]))),
            table.size(source["bytes"]),
            word(source["pieces"]),
            word(source["errors"]),
            word(source["why"] or ""),
        ]
        for source in found
    ]
    return Table(columns, rows)


def targets(found: Sequence[Target]) -> Table:
    """The peers that an upload goes to."""
    columns = [Column("target", wraps=True), Column("state"), Column("done", right=True), Column("why", wraps=True)]
    rows = [
        [
            table.name(target["peer"]["name"]),
            word(target["state"]),
            table.size(target["bytes_done"]),
            word(target["error"] or ""),
        ]
        for target in found
    ]
    return Table(columns, rows)


def placements(found: Sequence[Transfer]) -> Table:
    """Which peers uploads went to. For programs: file, peer, peer id, state, why not."""
    columns = [Column("file", wraps=True), Column("peer", wraps=True), Column("id", rank=1), Column("state")]
    columns += [Column("why", wraps=True)]
    rows = [
        [
            table.name(transfer["label"]),
            table.name(target["peer"]["name"]),
            table.short_id(target["peer"]["peer_id"]),
            word(target["state"]),
            word(target["error"] or ""),
        ]
        for transfer in found
        for target in transfer.get("targets", [])
    ]
    return Table(columns, rows)


def items(transfer: Transfer) -> Table:
    """The files of a transfer, those that an answer holds."""
    columns = [Column("file", wraps=True), Column("state"), Column("done", right=True), Column("size", right=True)]
    columns += [Column("why", wraps=True)]
    rows = [
        [
            table.name(item["final_name"] or item["name"]),
            word(_item_state(transfer, item)),
            Cell(percent(item["bytes_done"], item["size"], item["state"]), str(item["bytes_done"])),
            table.size(item["size"]),
            word(item["error"] or ""),
        ]
        for item in transfer.get("items", [])
    ]
    return Table(columns, rows)


def _item_state(transfer: Transfer, item: Item) -> str:
    """A file that was in work when its transfer was halted is not in work any more."""
    return transfer["state"] if item["state"] == "running" != transfer["state"] else item["state"]


def _time(iso: str) -> Cell:
    """By the clock on the wall for a person, ISO 8601 in UTC for a program."""
    plain = text.harmless(iso)
    return Cell(text.local_time(plain), plain)


def percent(done: int, total: int, state: str) -> str:
    """ "42 %", rounded down: 100 % only once all is there. An empty file is all there when it is done."""
    share = done * 100 // total if total > 0 else (100 if state == "done" else 0)
    return f"{min(share, 100)} %"
