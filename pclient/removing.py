"""The command that deletes: remove, here or also where an upload has placed a copy."""

from typing import cast

from pclient import meaning, render, text
from pclient.client import Client
from pclient.model import Ambiguous, FileEntry, FileGroup, NotFound, PClientError, WrongUsage
from pclient.model_people import Dropped


def remove(client: Client, name: str, yes: bool) -> None:
    """Delete a file of the own share, after asking. Raises NotFound; WrongUsage for a folder, or nobody to ask."""
    entry = _own_copy(client, name)
    _ask(client, yes, f"Remove {name} ({text.size(entry['size'])}) from your share? It is deleted from the disk.")
    client.api.remove(name)
    if client.talk.as_json:
        client.talk.json({"removed": name})
    else:
        client.talk.say(f"removed {name}")


def remove_everywhere(client: Client, what: str, yes: bool) -> None:
    """Delete the own copy, if there is one of that name, and have those dropped that the person's uploads placed.

    `what`: NAME, or id:HEX (then the own share is left as it is). Raises as `remove`.
    """
    what = meaning.in_full(client, what)
    own = None if what.startswith("id:") else _own_copy_or_none(client, what)
    if own is not None:
        here = f"{what} ({text.size(own['size'])}) from your share and "
        _ask(client, yes, f"Remove {here}{_where(client)}? It is deleted from the disks.")
        done = client.api.remove_everywhere(what)
    else:
        _ask(client, yes, f"Remove {_short(what)} {_where(client)}? It is deleted from their disks.")
        done = _dropped(client, what)
    _tell(client, what, done)


def _where(client: Client) -> str:
    whose = "an upload" if _is_admin(client) else "your uploads"
    return f"from the peers on which {whose} placed it"


def _short(what: str) -> str:
    return f"id:{text.short_id(what.removeprefix('id:'))}…" if what.startswith("id:") else what


def _is_admin(client: Client) -> bool:
    session = client.credentials.session
    return session is not None and session.role == "admin"


def _ask(client: Client, yes: bool, question: str) -> None:
    if yes:
        return
    if not client.talk.can_ask:
        raise WrongUsage("nothing was removed: there is nobody to ask, so say --yes")
    if client.talk.ask(f"{question} [y/N] ").lower() not in {"y", "yes"}:
        raise PClientError("nothing was removed")


def _dropped(client: Client, what: str) -> Dropped:
    """What a name means is asked where it is ambiguous; off a terminal nothing is chosen: it is to be deleted."""
    try:
        return client.api.drop(what)
    except Ambiguous as error:
        groups = cast(list[FileGroup], error.choices)
        if not client.talk.can_ask:
            ids = ", ".join(f"id:{group['file_id']}" for group in groups)
            raise Ambiguous(f"{error}. Name one by its id: {ids}", error.choices) from None
        client.talk.say(f"{len(groups)} different files are called {what}:")
        chosen = client.talk.choose("Which one?", [render.one_line(group) for group in groups])
        return client.api.drop(f"id:{groups[chosen]['file_id']}")


def _tell(client: Client, what: str, done: Dropped) -> None:
    """Say what was done. Raises NotFound if there was nothing to do."""
    removed, present, away = done.get("removed", False), done["ordered_present"], done["ordered_away"]
    if client.talk.as_json:
        client.talk.json({"name": what, **done})
    else:
        for line in _lines(client, what, removed, present, away):
            client.talk.say(line)
    if not removed and not present and not away:
        whose = "an upload" if _is_admin(client) else "an upload of yours"
        raise NotFound(f"no peer holds a copy of {_short(what)} that {whose} placed")


def _lines(client: Client, what: str, removed: bool, present: list[str], away: int) -> list[str]:
    lines = [f"removed {what} from your share"] if removed else []
    if present:
        told = f"{text.count_of(len(present), 'peer')} {'is' if len(present) == 1 else 'are'} told"
        lines.append(f"{told} to drop it: {', '.join(map(text.name, sorted(present)))}")
    if away:
        later = "is away, and is told when it is back" if away == 1 else "are away, and are told when they are back"
        lines.append(f"{text.count_of(away, 'peer')} {later}")
    if removed and not present and not away:
        lines.append(f"no other peer holds a copy that {'an upload' if _is_admin(client) else 'your uploads'} placed")
    return lines


def _own_copy_or_none(client: Client, name: str) -> FileEntry | None:
    try:
        return _own_copy(client, name)
    except NotFound:
        return None


def _own_copy(client: Client, name: str) -> FileEntry:
    try:
        return client.api.file(name)
    except (NotFound, WrongUsage):  # a name cannot end in a slash, but a person types a folder so
        folder = name.rstrip("/") + "/"
        if not client.api.files(folder, None, 1)["files"]:
            raise
        look = client.command(f"files {folder}")
        raise WrongUsage(f"{folder} is a folder: they are not removed whole. To see its files: {look}") from None
