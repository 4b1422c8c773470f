"""The commands that only look: search, info, files, peers, status."""

from collections.abc import Iterator

from pclient import choosing, meaning, render, text
from pclient.client import Client
from pclient.model import Ambiguous, FileEntry, Files, Groups, NotFound, PClientError, PeerInfo, WrongUsage

PAGE = 1000  # of files of one share; the PServer gives up to 2,000
SEARCH_PAGE = 100  # the most that it gives of a search


def search(client: Client, words: str, limit: int, everything: bool) -> None:
    """Print the files that match all words, a page at a time. Raises NotFound if none does, and is known to."""
    if not words.strip():
        raise WrongUsage("say at least one word to search for")
    shown, last = 0, None
    pages: list[Groups] = []
    for page in _search_pages(client, words, limit, everything):
        last = page
        if client.talk.as_json:
            pages.append(page)
        elif page["groups"]:
            client.talk.table(render.groups(page["groups"], shown + 1))
        client.seen.groups(page["groups"], continues=shown > 0)
        shown += len(page["groups"])
    assert last is not None
    if client.talk.as_json:
        client.talk.json({**last, "groups": [group for page in pages for group in page["groups"]]})
    _say_how(client, last, shown)


def _search_pages(client: Client, words: str, limit: int, everything: bool) -> Iterator[Groups]:
    wanted, token = limit, ""
    while True:
        page = client.api.search(words, SEARCH_PAGE if everything else min(wanted, SEARCH_PAGE), token)
        yield page
        token = page.get("next_page_token", "")
        wanted -= len(page["groups"])
        if not token or (wanted <= 0 and not everything):
            return


def _say_how(client: Client, last: Groups, shown: int) -> None:
    """Tell what the list does not: whether it is all, and by which way it came."""
    if shown == 0:
        raise _nothing(last["complete"])
    _warn_if_incomplete(client, last["complete"])
    more = "; there are more: --all, or --limit N" if last.get("next_page_token") else ""
    if client.talk.to_person or more:
        way = f", by way of {' > '.join(last['via'])}" if last["via"] else ""
        client.talk.say(f"{text.count_of(shown, 'file')}{way}{more}")


def _nothing(complete: bool) -> PClientError:
    """Not there, or nobody who would know was reached: a script must be able to tell."""
    if complete:
        return NotFound("nothing matches")
    return PClientError("nothing found, but no locator could be asked: other peers may have it", "unavailable")


def _warn_if_incomplete(client: Client, complete: bool) -> None:
    if not complete:
        client.talk.warn("no locator could be asked: other peers may have more")


def info(client: Client, what: str) -> None:
    """Print everything known about a file: ids, size, names, all holders. Raises NotFound."""
    answer = client.api.lookup(meaning.of_file(client, what))
    client.seen.holdings(answer["groups"])
    if client.talk.as_json:
        client.talk.json(answer)
    elif client.talk.to_person:
        _info_for_person(client, answer)
    else:
        client.talk.table(render.holdings(answer["groups"]))
    _warn_if_incomplete(client, answer["complete"])


def _info_for_person(client: Client, answer: Groups) -> None:
    if len(answer["groups"]) > 1:
        client.talk.say(f"{len(answer['groups'])} different files go by this name:")
    for group in answer["groups"]:
        client.talk.table(render.group_facts(group))
        client.talk.line("")
        client.talk.table(render.holders(group["holders"]))
        client.talk.line("")
        if group["holder_count"] > len(group["holders"]):
            client.talk.say(f"and {group['holder_count'] - len(group['holders'])} more holders")


def files(client: Client, prefix: str, peer: str | None, limit: int | None) -> None:
    """Print the files of the own share, or of a peer's, below a prefix: all of them, or `limit`."""
    shown = 0
    collected: list[FileEntry] = []
    complete = True
    for page in _file_pages(client, prefix, peer, limit):
        found = page["files"]
        complete = page.get("complete", True)
        if client.talk.as_json:
            collected += found
        elif found:
            client.talk.table(render.files(found, shown + 1))
        client.seen.files(found, continues=shown > 0, is_own=peer is None)
        shown += len(found)
    if client.talk.as_json:
        way = {} if peer is None else {"via": page.get("via", []), "complete": complete}
        client.talk.json({"files": collected, **way})
    elif client.talk.to_person or shown == 0 or page["next_page_token"]:
        client.talk.say(text.count_of(shown, "file") + ("; there are more" if page["next_page_token"] else ""))
    _warn_if_incomplete(client, complete)


def _file_pages(client: Client, prefix: str, peer: str | None, limit: int | None) -> Iterator[Files]:
    left, token = limit, ""
    while left is None or left > 0:
        try:
            page = client.api.files(prefix, peer, PAGE if left is None else min(left, PAGE), token)
        except Ambiguous as error:
            peer = choosing.peer(client, error)["peer_id"]
            continue
        page["files"] = page["files"] if left is None else page["files"][:left]
        yield page
        left = None if left is None else left - len(page["files"])
        token = page["next_page_token"]
        if not token:
            return


def peers(client: Client, match: str) -> None:
    """Print the peers whose name or id matches."""
    found: list[PeerInfo] = []
    token = ""
    while True:
        page = client.api.peers(match, token)
        found += page["peers"]
        token = page["next_page_token"]
        if not token:
            break
    client.seen.peer_names([one["peer"]["name"] for one in found])
    if client.talk.as_json:
        client.talk.json({"peers": found, "via": page["via"], "complete": page["complete"]})
    elif found:
        client.talk.table(render.peers(found))
    if client.talk.to_person or not found:
        client.talk.say(text.count_of(len(found), "peer"))
    _warn_if_incomplete(client, page["complete"])


def status(client: Client) -> None:
    """Print how the own PServer is."""
    now = client.api.status()
    if client.talk.as_json:
        client.talk.json(now)
    else:
        client.talk.table(render.status(now))
    if client.talk.to_person and not render.is_well(now):
        client.talk.warn(f"something is wrong: `{client.command('doctor')}` says what to do")
