"""What to do when a name means several things: ask the person, or off a terminal take the most-held and say so."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from pclient import render, text
from pclient.client import Client
from pclient.model import Ambiguous, FileGroup, Peer, PeerInfo, Transfer


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to download: `what` NAME, FOLDER/, id:HEX or sha256:HEX; as `name`, from the peer `source`.

    `seen_as`: the name under which the person saw it, where `what` is an id that stands for their choice. `held`:
    the own share was listed among those that have it.
    """

    what: str
    name: str | None = None
    source: str | None = None
    seen_as: str | None = None
    held: bool = False

    @property
    def name_to_get(self) -> str | None:
        """Its name in the share; None for the usual one. Not `seen_as` if it is held: that would make a copy."""
        return self.name if self.name is not None or self.held else self.seen_as


def download(client: Client, wanted: Wanted) -> tuple[Wanted, Transfer]:
    """Begin a download; where what is wanted is ambiguous, of the file or from the peer that is chosen.

    Also returns what is wanted after that choice.
    """
    while True:
        try:
            return wanted, client.api.download(wanted.what, wanted.name_to_get, wanted.source, None)
        except Ambiguous as error:
            if "peer_id" not in error.choices[0] and not client.talk.can_ask:
                return wanted, _download_most_held(client, wanted, error)
            narrowed = _narrowed(client, wanted, error)
            if narrowed == wanted:
                raise
            wanted = narrowed


def _narrowed(client: Client, wanted: Wanted, error: Ambiguous) -> Wanted:
    """What is wanted once the person has chosen 1. a file, 2. a peer that has the folder, 3. a peer of that name."""
    if "file_id" in error.choices[0]:
        groups = cast(list[FileGroup], error.choices)
        client.talk.say(f"{len(groups)} different files are called {wanted.what}:")
        chosen = groups[client.talk.choose("Which one?", [render.one_line(group) for group in groups])]
        held = any(holder["peer"]["peer_id"] == client.own_id() for holder in chosen["holders"])
        return replace(wanted, what=f"id:{chosen['file_id']}", seen_as=_name_asked(wanted.what), held=held)
    if "peer" in error.choices[0]:
        infos = cast(list[PeerInfo], error.choices)
        client.talk.say(f"{len(infos)} peers have a folder {wanted.what}:")
        info = infos[client.talk.choose("Whose?", [_folder_line(info) for info in infos])]
        return replace(wanted, source=info["peer"]["peer_id"])
    return replace(wanted, source=peer(client, error)["peer_id"])


def _name_asked(what: str) -> str | None:
    """What was asked by name is to have that name; what was asked by a hash gets the usual one."""
    return None if what.startswith(("id:", "sha256:")) else what


def _folder_line(info: PeerInfo) -> str:
    return f"{info['peer']['name']}  {text.count_of(info['files'], 'file')}  {text.size(info['bytes'])}"


def _download_most_held(client: Client, wanted: Wanted, error: Ambiguous) -> Transfer:
    """Let the PServer choose, then say which it was: of a file, only the transfer knows."""
    transfer = client.api.download(wanted.what, wanted.name_to_get, wanted.source, "most")
    if "file_id" in error.choices[0]:
        items = transfer.get("items") or client.api.transfer(transfer["id"]).get("items") or []
        groups = {group["file_id"]: group for group in cast(list[FileGroup], error.choices)}
        known = bool(items) and items[0]["file_id"] in groups
        chosen = render.one_line(groups[items[0]["file_id"]]) if known else transfer["label"]
        reason = "as most peers hold it"
    else:
        best = max(cast(list[PeerInfo], error.choices), key=lambda info: info["files"])
        chosen, reason = _folder_line(best), "as it has most files"
    client.talk.warn(f"{wanted.what} means {len(error.choices)} different things; taken, {reason}: {chosen}")
    return transfer


def upload(client: Client, name: str, to: Sequence[str], replicas: int | None) -> Transfer:
    """Begin an upload; where a peer's name in `to` is ambiguous, to the one that is chosen.

    Off a terminal nothing is chosen (another person's disk is at stake): Ambiguous is raised, naming the ids.
    """
    wanted = list(to)
    while True:
        try:
            return client.api.upload(name, wanted, replicas)
        except Ambiguous as error:
            chosen = peer(client, error)
            narrowed = [chosen["peer_id"] if one == chosen["name"] else one for one in wanted]
            if narrowed == wanted:
                raise
            wanted = narrowed


def peer(client: Client, error: Ambiguous) -> Peer:
    """The peer meant, of those that an ambiguous name fits. Raises `error`, with their ids, if nobody can be asked."""
    peers = cast(list[Peer], error.choices)
    if not client.talk.can_ask:
        ids = ", ".join(one["peer_id"] for one in peers)
        raise Ambiguous(f"{error}. Name one by its id: {ids}", error.choices) from None
    client.talk.say(str(error))
    return peers[client.talk.choose("Which peer?", [f"{one['name']}  {one['url']}  {one['peer_id']}" for one in peers])]
