"""The commands about transfers: download, transfers, watch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pclient import choosing, render_transfers, saving, table, text
from pclient.choosing import Wanted
from pclient.client import Client
from pclient.model import ENDED, Item, NotFound, PClientError, Transfer, Unreachable, WrongUsage
from pclient.progress import displayed
from pclient.table import Column, Table, word
from pclient.watching import check_done, left_running, outcome, watch


def download(client: Client, wanted: Wanted, save: str | None, detach: bool) -> None:
    """Download into the own share, and then `save` to a folder of this machine. Waits for that unless `detach`."""
    if save is not None and detach:
        raise WrongUsage("--save needs the finished file, so it does not go with --detach")
    folder = None if save is None else saving.prepare(save)
    wanted = _of_line(client, wanted)
    transfer = choosing.download(client, wanted)
    client.seen.transfer(transfer)
    if detach:
        _leave(client, transfer)
        return
    if transfer["state"] not in ENDED:
        transfer = watch(client, transfer, goes_unsaved=folder is not None)
    _finish(client, wanted, transfer, folder)


def _of_line(client: Client, wanted: Wanted) -> Wanted:
    """In the shell a number is a line of the last list."""
    line = client.seen.line(wanted.what)
    if line is None:
        return wanted
    client.talk.say(f"line {wanted.what} is {line[0]}")
    return Wanted(f"id:{line[1]}", wanted.name or line[0] or None, wanted.source)


def _leave(client: Client, transfer: Transfer) -> None:
    if client.talk.as_json:
        client.talk.json(transfer)
    if transfer["state"] in ENDED:
        client.talk.say(outcome(transfer))
        check_done(transfer)
        return
    client.background.add(transfer["id"])
    client.talk.say(left_running(client, transfer))


def _finish(client: Client, wanted: Wanted, transfer: Transfer, folder: Path | None) -> None:
    """Save what was asked to be saved, print what came; PClientError for what did not."""
    arrived: list[_Arrived] = []
    if transfer["state"] == "done":
        arrived = [_arrived(client, wanted, item, folder) for item in _items(client, transfer)]
    if client.talk.as_json:
        client.talk.json({**transfer, "saved": [str(one.path) for one in arrived if one.path is not None]})
    elif arrived:
        client.talk.table(_arrivals(arrived, folder is not None))
    check_done(transfer)
    if folder is not None:
        _check_saved(client, transfer, arrived)
    client.talk.say(outcome(transfer))


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


def _arrivals(arrived: Sequence[_Arrived], with_paths: bool) -> Table:
    columns = [Column("name", wraps=True), Column("size", right=True), Column("id", rank=1)]
    columns += [Column("saved as", wraps=True)] if with_paths else []
    rows = [
        [
            word(one.item["final_name"] or one.item["name"]),
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
    entry = client.api.file(item["final_name"] or item["name"])
    target = saving.place(folder, _name_in_folder(wanted, item))
    if target.exists() or target.is_symlink():
        other = saving.free_name(target)
        if not client.talk.can_ask:
            raise PClientError(f"{target} exists and is not replaced. The file is in your share, as {entry['name']}")
        if client.talk.ask(f"{target} exists. Save as {other.name}? [y/N] ").lower() not in {"y", "yes"}:
            raise PClientError(f"not saved. The file is in your share, as {entry['name']}")
        target = other
    with displayed(client.talk) as display:
        saving.save(client, entry, target, display)
    return target


def _name_in_folder(wanted: Wanted, item: Item) -> str:
    """A single file keeps the last part of its name; the files of FOLDER/ keep theirs from that folder on."""
    if not wanted.what.endswith("/"):
        return PurePosixPath(wanted.name or item["name"]).name
    above = wanted.what.rstrip("/").rpartition("/")[0]
    return item["name"].removeprefix(f"{above}/") if above else item["name"]


def transfers(client: Client, words: tuple[str, ...]) -> None:
    """List the transfers; with an ID show one; with pause, resume or cancel and an ID do that."""
    if not words:
        _list(client)
    elif len(words) == 1 and words[0] not in _ACTIONS:
        _detail(client, _found(client, words[0]))
    elif len(words) == 2 and words[0] in _ACTIONS:
        _act(client, words[0], _found(client, words[1]))
    else:
        raise WrongUsage("say: transfers, or transfers ID, or transfers pause|resume|cancel ID")


_ACTIONS = {"pause": "is paused", "resume": "goes on", "cancel": "is cancelled"}


def _list(client: Client) -> None:
    found = client.api.transfers()
    for transfer in found:
        client.seen.transfer(transfer)
    if client.talk.as_json:
        client.talk.json({"transfers": found})
    elif found:
        client.talk.table(render_transfers.transfers(found))
    else:
        client.talk.say("no transfers")


def _found(client: Client, given: str) -> Transfer:
    """The transfer whose id begins with `given`. Raises NotFound."""
    fitting = [transfer for transfer in client.api.transfers() if transfer["id"].startswith(given.lower())]
    if len(fitting) != 1 or not given:
        known = "more than one transfer has an id that begins with" if fitting else "there is no transfer"
        raise NotFound(f"{known} {given}; see: {client.command('transfers')}")
    return fitting[0]


def _detail(client: Client, found: Transfer) -> None:
    transfer = client.api.transfer(found["id"])
    if client.talk.as_json:
        client.talk.json(transfer)
        return
    client.talk.table(render_transfers.transfer_facts(transfer))
    parts = [
        render_transfers.sources(transfer["sources"]),
        render_transfers.targets(transfer.get("targets", [])),
        render_transfers.items(transfer.get("items", [])),
    ]
    for part in parts:
        if part.rows and client.talk.to_person:
            client.talk.line("")
            client.talk.table(part)


def _act(client: Client, action: str, transfer: Transfer) -> None:
    if action == "cancel":
        was_live = transfer["state"] not in ENDED
        client.api.cancel(transfer["id"])
        client.background.discard(transfer["id"])
        did = "is cancelled" if was_live else "had ended and is forgotten"
        after: object = {"id": transfer["id"], "cancelled": was_live}
    else:
        after = client.api.pause(transfer["id"]) if action == "pause" else client.api.resume(transfer["id"])
        did = _ACTIONS[action]
    if client.talk.as_json:
        client.talk.json(after)
    else:
        client.talk.say(f"{transfer['kind']} {transfer['id']} ({transfer['label']}) {did}")


def watch_one(client: Client, given: str) -> None:
    """Watch a transfer until it ends. Raises PClientError if it ends badly."""
    transfer = _found(client, given)
    ended = transfer if transfer["state"] in ENDED else watch(client, transfer)
    if client.talk.as_json:
        client.talk.json(ended)
    check_done(ended)
    client.talk.say(outcome(ended))


def announce_ended(client: Client) -> None:
    """Tell of transfers in the background that have ended since. For the shell, before it prompts."""
    if not client.background:
        return
    try:
        known = {transfer["id"]: transfer for transfer in client.api.transfers(timeout=2.0)}
    except Exception:  # whatever it is, the next command will say it
        return
    for transfer_id in sorted(client.background):
        transfer = known.get(transfer_id)
        if transfer is None or transfer["state"] in ENDED:
            client.background.discard(transfer_id)
        if transfer is not None and transfer["state"] in ENDED:
            client.talk.say(f"[{transfer_id}] {outcome(transfer)}")


def count_in_background(client: Client) -> str:
    """ "2 transfers", or "" if there is none."""
    return text.count_of(len(client.background), "transfer") if client.background else ""
