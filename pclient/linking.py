"""The command `link`: a URL that any tool can fetch a file by, or a document of such URLs for a download tool."""

import re
from pathlib import Path
from typing import cast

from pclient import meaning, render, text
from pclient.client import Client
from pclient.model import Ambiguous, FileGroup, Link, Making, PClientError, WrongUsage
from pclient.saving import place, prepare

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MAX_SECONDS = 7 * 86400


def link(client: Client, what: str, seconds: int, everywhere: bool) -> None:
    """Print a link to a file, or (`everywhere`) one for each holder. Raises NotFound, Ambiguous."""
    made = _made(client, what, seconds)
    if client.talk.as_json:
        client.talk.json(made)
        return
    for url in made["urls"] if everywhere else [made["url"]]:
        client.talk.line(url)
    if client.talk.to_person:
        until, count = text.local_time(made["expires"]), text.count_of(len(made["urls"]), "peer")
        what = f"{made['name']} ({text.size(made['size'])})"
        client.talk.say(f"whoever has this link can fetch {what} until {until}, from {count}")


def document(client: Client, what: str, seconds: int, form: str, directory: str | None) -> None:
    """Save the document of that form ("meta4", "torrent") about a file, named after it; print where.

    Never over another file. Raises NotFound, Ambiguous, WrongUsage.
    """
    folder = prepare(directory or ".")
    made = _made(client, what, seconds)
    name = f"{made['name'].rpartition('/')[2]}.{form}"
    target = place(folder, name)
    body = _when_made(client, made, form, seconds)
    _write(target, body)
    if client.talk.as_json:
        client.talk.json({**made, "saved": str(target)})
    else:
        client.talk.line(str(target))


def seconds_of(words: str) -> int:
    """The length of time that "90s", "30m", "1h" or "7d" means, in seconds. Raises WrongUsage beyond 1 s to 7 days."""
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", words.strip().lower())
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 1 <= seconds <= _MAX_SECONDS:
        raise WrongUsage(f"--expires takes a time like 90s, 30m, 1h or 7d, and at most 7 days: not {words}")
    return seconds


def _made(client: Client, what: str, seconds: int) -> Link:
    what = meaning.of_file(client, what)
    try:
        return client.api.link(what, seconds, None)
    except Ambiguous as error:
        groups = cast(list[FileGroup], error.choices)
        if not client.talk.can_ask:
            return _of_most_held(client, what, seconds, groups)
        client.talk.say(f"{len(groups)} different files are called {what}:")
        chosen = groups[client.talk.choose("Which one?", [render.one_line(group) for group in groups])]
        return client.api.link(f"id:{chosen['file_id']}", seconds, None)


def _of_most_held(client: Client, what: str, seconds: int, groups: list[FileGroup]) -> Link:
    """Let the PServer choose, then say which it was."""
    made = client.api.link(what, seconds, "most")
    chosen = next((render.one_line(group) for group in groups if group["file_id"] == made["file_id"]), made["name"])
    client.talk.warn(f"{what} means {len(groups)} different things; taken, as most peers hold it: {chosen}")
    return made


def _when_made(client: Client, made: Link, form: str, seconds: int) -> bytes:
    said = False
    while isinstance(found := client.api.document(made["file_id"], form, seconds), Making):
        if not said:
            client.talk.say(f"a peer reads {made['name']} ({text.size(made['size'])}) to hash its pieces ...")
            said = True
        client.wait(found.wait)
    return found


def _write(target: Path, body: bytes) -> None:
    try:
        with target.open("xb") as file:
            file.write(body)
    except FileExistsError:
        raise PClientError(f"{target} exists; it was not replaced", "exists") from None
    except OSError as error:
        raise PClientError(f"cannot write {target}: {error.strerror}") from None
