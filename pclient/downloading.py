"""The command `download`: into the own share, and from there, if asked, to a folder of the person's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pclient import choosing, meaning, saving, table, text
from pclient.choosing import Wanted
from pclient.client import Client
from pclient.model import ENDED, Item, PClientError, Transfer, Unreachable, WrongUsage
from pclient.progress import displayed
from pclient.table import Column, Table, word
from pclient.watching import check_done, left_running, outcome, watch

_ROWS_FOR_A_PERSON = 20


def download(client: Client, wanted: Wanted, save: str | None, detach: bool) -> None:
    """Download into the own share, and then `save` to a folder of this machine. Waits for that unless `detach`."""
    if save is not None and detach:
        raise WrongUsage("--save needs the finished file, so it does not go with --detach")
    folder = None if save is None else saving.prepare(save)
    wanted, transfer = choosing.download(client, _meant(client, wanted))
    client.seen.begun([transfer])
    if transfer["state"] == "done":
        _finish(client, wanted, transfer, folder, at_once=True)
    elif detach:
        _leave(client, transfer)
    else:
        transfer = transfer if transfer["state"] in ENDED else watch(client, transfer, goes_unsaved=folder is not None)
        _finish(client, wanted, transfer, folder, at_once=False)


def _meant(client: Client, wanted: Wanted) -> Wanted:
    """In the shell a number is a line of the last list, and the beginning of an id just seen that id."""
    line = meaning.line_of(client, wanted.what)
    if line is None:
        return replace(wanted, what=meaning.in_full(client, wanted.what))
    held = line.is_own or (bool(line.holders) and client.own_id() in line.holders)
    return replace(wanted, what=f"id:{line.file_id}", seen_as=line.name or None, held=held)


def _leave(client: Client, transfer: Transfer) -> None:
    if client.talk.as_json:
        client.talk.json(transfer)
    if transfer["state"] in ENDED:
        check_done(transfer)
    client.background.add(transfer["id"])
    client.talk.say(left_running(client, transfer))


def _finish(client: Client, wanted: Wanted, transfer: Transfer, folder: Path | None, at_once: bool) -> None:
    """Save what was asked to be saved, print what came; PClientError for what did not."""
    arrived: list[_Arrived] = []
    if transfer["state"] == "done":
        arrived = [_arrived(client, wanted, item, folder) for item in _items(client, transfer)]
        client.seen.files_by_id([one.item["file_id"] for one in arrived])
    if client.talk.as_json:
        client.talk.json({**transfer, "saved": [str(one.path) for one in arrived if one.path is not None]})
    elif arrived:
        _print(client, arrived, folder is not None)
    check_done(transfer)
    if folder is not None:
        _check_saved(client, transfer, arrived)
    items = [one.item for one in arrived]
    if at_once:
        _say_it_was_there(client, wanted, transfer, items)
        return
    client.talk.say(outcome(transfer))
    if len(items) == 1 and items[0]["name"] != _final_name(items[0]):
        client.talk.warn(f"your share has another {items[0]['name']}: this one is called {_final_name(items[0])}")


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A file that is in the share now: where it was saved, or why not."""

    item: Item
    path: Path | None = None
    error: str | None = None


def _arrived(client: Client, wanted: Wanted, item: Item, folder: Path | None) -> _Arrived:
    if folder is None:
        return _Arrived(item)
    try:
        return _Arrived(item, _saved(client, wanted, item, folder))
    except Unreachable:
        raise
    except PClientError as error:
        return _Arrived(item, None, str(error))


def _print(client: Client, arrived: Sequence[_Arrived], with_paths: bool) -> None:
    """All of them for a program; for a person as many as they will look at."""
    shown = arrived[:_ROWS_FOR_A_PERSON] if client.talk.to_person else arrived
    client.talk.table(_arrivals(shown, with_paths))
    if len(shown) < len(arrived):
        client.talk.line(f"… and {len(arrived) - len(shown)} more")


def _arrivals(arrived: Sequence[_Arrived], with_paths: bool) -> Table:
    columns = [Column("name", wraps=True), Column("size", right=True), Column("id", rank=1)]
    columns += [Column("saved as", wraps=True)] if with_paths else []
    rows = [
        [
            table.name(_final_name(one.item)),
            table.size(one.item["size"]),
            table.short_id(one.item["file_id"]),
            word(one.path or ""),
        ]
        for one in arrived
    ]
    return Table(columns, rows)


def _check_saved(client: Client, transfer: Transfer, arrived: Sequence[_Arrived]) -> None:
    failed = [one.error for one in arrived if one.error is not None]
    if len(failed) == 1:
        raise PClientError(failed[0])
    for error in failed:
        client.talk.warn(error)
    missing = max(transfer["files_total"], len(arrived)) - (len(arrived) - len(failed))
    if missing:
        raise PClientError(f"{text.count_of(missing, 'file')} not saved; all are in your share")


def _say_it_was_there(client: Client, wanted: Wanted, transfer: Transfer, items: Sequence[Item]) -> None:
    """Nothing had to be fetched. Three cases: 1. a folder; 2. --as (the PServer may have copied it); 3. a file."""
    final = _final_name(items[0]) if items else transfer["label"]
    asked = wanted.name or wanted.seen_as or (final if wanted.what.startswith(("id:", "sha256:")) else wanted.what)
    if wanted.what.endswith("/"):
        client.talk.say(f"{wanted.what} is in your share already, {text.count_of(transfer['files_total'], 'file')}")
    elif wanted.name is not None:
        other = f"it is in your share already, as {final}; not copied to {asked}"
        client.talk.say(f"{final} is in your share") if asked == final else client.talk.warn(other)
    else:
        client.talk.say(f"{asked} is in your share already" + ("" if asked == final else f", as {final}"))


def _items(client: Client, transfer: Transfer) -> Iterator[Item]:
    """All files of a transfer; an answer holds the first hundred, or a hundred from a given one on."""
    transfer = transfer if transfer.get("items") else client.api.transfer(transfer["id"])
    found, before = transfer.get("items", []), None
    got = 0
    while found and found != before:
        yield from found
        got += len(found)
        if got >= transfer["files_total"]:
            return
        before, found = found, client.api.transfer(transfer["id"], items_from=got).get("items", [])


def _saved(client: Client, wanted: Wanted, item: Item, folder: Path) -> Path:
    """Where a file of the share was saved; if the name is taken there, the person may allow another."""
    entry = client.api.file(_final_name(item))
    target = saving.place(folder, _name_in_folder(wanted, item))
    if saving.is_there(entry, target):
        client.talk.say(f"{target} is there already, with the same bytes")
        return target
    if target.exists() or target.is_symlink():
        other = saving.free_name(target)
        if not client.talk.can_ask:
            raise PClientError(f"{target} exists and is not replaced. The file is in your share, as {entry['name']}")
        if client.talk.ask(f"{target} exists. Save as {other.name}? [y/N] ").lower() not in {"y", "yes"}:
            raise PClientError(f"not saved. The file is in your share, as {entry['name']}")
        target = other
    with displayed(client.talk, client.clock) as display:
        saving.save(client, entry, target, display)
    return target


def _name_in_folder(wanted: Wanted, item: Item) -> str:
    """A single file keeps the last part of its name; the files of FOLDER/ keep theirs from that folder on."""
    if not wanted.what.endswith("/"):
        return PurePosixPath(wanted.name or wanted.seen_as or item["name"]).name
    above = wanted.what.rstrip("/").rpartition("/")[0]
    return item["name"].removeprefix(f"{above}/") if above else item["name"]


def _final_name(item: Item) -> str:
    return item["final_name"] or item["name"]
