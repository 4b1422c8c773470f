"""The commands about transfers that run, or did: transfers, watch."""

from collections.abc import Sequence

from pclient import render_transfers, text
from pclient.client import Client
from pclient.model import ENDED, NotFound, PClientError, Transfer, Unreachable, WrongUsage
from pclient.watching import check_done, outcome, watch


def transfers(client: Client, words: tuple[str, ...]) -> None:
    """List the transfers; with an ID show one; with pause, resume or cancel and IDs, or `all`, do that."""
    if not words:
        _list(client)
    elif len(words) == 1 and words[0] not in _ACTIONS:
        _detail(client, _found(client, words[0]))
    elif len(words) > 1 and words[0] in _ACTIONS:
        _act_on(client, words[0], words[1:])
    else:
        raise WrongUsage("say: transfers, or transfers ID, or transfers pause|resume|cancel ID... (or: all)")


_ACTIONS = {"pause": "is paused", "resume": "goes on", "cancel": "is cancelled"}
_ALL = {"pause": {"queued", "running"}, "resume": {"paused"}, "cancel": {"queued", "running", "paused"}}


def _list(client: Client) -> None:
    found = client.api.transfers()
    client.seen.begun(found)
    if client.talk.as_json:
        client.talk.json({"transfers": found})
    elif found:
        client.talk.table(render_transfers.transfers(found))
    else:
        client.talk.say("no transfers")


def _found(client: Client, given: str) -> Transfer:
    """The transfer whose id begins with `given`. Raises NotFound."""
    return _of(client, client.api.transfers(), given)


def _of(client: Client, known: Sequence[Transfer], given: str) -> Transfer:
    fitting = [transfer for transfer in known if transfer["id"].startswith(given.lower())]
    if len(fitting) != 1 or not given:
        problem = "more than one transfer has an id that begins with" if fitting else "there is no transfer"
        raise NotFound(f"{problem} {given}; see: {client.command('transfers')}")
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
        render_transfers.items(transfer),
    ]
    for part in parts:
        if part.rows and client.talk.to_person:
            client.talk.line("")
            client.talk.table(part)


def _act_on(client: Client, action: str, given: Sequence[str]) -> None:
    """Do it to each, or to `all` that it can be done to. If one of several fails, the others are still seen to.

    Raises NotFound, before anything is done, if one of them is not there.
    """
    known = client.api.transfers()
    everything = tuple(given) == ("all",)
    if everything:
        meant = [transfer for transfer in known if transfer["state"] in _ALL[action]]
    else:
        meant = list({one["id"]: one for one in (_of(client, known, word) for word in given)}.values())
    if len(given) == 1 and not everything:
        _show(client, _act(client, action, meant[0]))
        return
    _act_on_several(client, action, meant)


def _act_on_several(client: Client, action: str, meant: Sequence[Transfer]) -> None:
    after: list[object] = []
    for transfer in meant:
        try:
            after.append(_act(client, action, transfer))
        except Unreachable:
            raise
        except PClientError as error:
            client.talk.warn(f"{transfer['kind']} {transfer['id']} ({transfer['label']}): {error}")
    _show(client, {"transfers": after})
    if not meant:
        client.talk.say(f"there is nothing to {action}")
    if len(after) < len(meant):
        raise PClientError(f"of {len(meant)} transfers {len(meant) - len(after)} did not {action}")


def _show(client: Client, after: object) -> None:
    if client.talk.as_json:
        client.talk.json(after)


def _act(client: Client, action: str, transfer: Transfer) -> object:
    """Do it and say so; what `--json` prints of it."""
    after: object
    if action == "cancel":
        was_live = transfer["state"] not in ENDED
        client.api.cancel(transfer["id"])
        client.background.discard(transfer["id"])
        did = _ACTIONS[action] if was_live else "had ended and is forgotten"
        after = {"id": transfer["id"], "cancelled": was_live}
    else:
        after = client.api.pause(transfer["id"]) if action == "pause" else client.api.resume(transfer["id"])
        did = _ACTIONS[action]
    if not client.talk.as_json:
        client.talk.say(f"{transfer['kind']} {transfer['id']} ({transfer['label']}) {did}")
    return after


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
