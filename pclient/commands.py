"""The command line: which words there are, what each takes, and its help. What they do is in the files by noun."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from pclient import (
    __version__,
    adding,
    commands_people,
    doctoring,
    downloading,
    finding,
    linking,
    removing,
    transferring,
)
from pclient.choosing import Wanted
from pclient.client import Client
from pclient.model import WrongUsage
from pclient.verb import Group, Verb, not_empty

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass(frozen=True, slots=True)
class Options:
    """What was said before the command."""

    url: str | None = None
    token_file: str | None = None
    env_file: str | None = None
    as_json: bool = False
    no_color: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """What the command line needs of the wiring: a client for the options, and the shell for when no command is given.

    `shell` returns an exit code.
    """

    open: Callable[[Options], Client]
    shell: Callable[[Client], int]


@click.group(cls=Group, invoke_without_command=True, context_settings=_SETTINGS)
@click.option("--url", metavar="URL", help="Your PServer's client API [PCLIENT_PSERVER_URL, http://127.0.0.1:8101].")
@click.option("--token-file", metavar="FILE", help="The token it wrote when it started [PCLIENT_TOKEN_FILE].")
@click.option("--env-file", metavar="FILE", help="Read settings from FILE [.env here, if there is one].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
@click.option("--no-color", is_flag=True, help="No colours, as with NO_COLOR.")
@click.version_option(__version__, message="pclient %(version)s")
@click.pass_context
def pclient(context: click.Context, /, **options: Any) -> None:  # Any: each option's own type, named in Options
    """Share files with the peers of your network. Without a command: an interactive shell.

    Data goes to stdout, all talk to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 login needed
    or refused, 5 own PServer not reachable, 130 interrupted.
    """
    start: Start = context.obj
    context.obj = start.open(Options(**options))
    if context.invoked_subcommand is None:
        context.exit(start.shell(context.obj))


@click.command(cls=Verb)
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Show at most this many.")
@click.option("--all", "everything", is_flag=True, help="Show all.")
@click.pass_obj
def search(client: Client, words: tuple[str, ...], limit: int, everything: bool) -> None:
    """Find files whose names have all WORDS.

    A word matches the beginnings of words; accents and case do not matter.
    Off a terminal, a line a file: name, bytes, holders, file id.
    """
    finding.search(client, " ".join(words), limit, everything)


@click.command(cls=Verb)
@click.argument("what", callback=not_empty, metavar="NAME|id:HEX|sha256:HEX")
@click.pass_obj
def info(client: Client, what: str) -> None:
    """Show a file's ids, size, names and all holders.

    Off a terminal, a line a holder: file id, bytes, sha256, peer, peer id, name there, checked|unchecked|partial.
    """
    finding.info(client, what)


@click.command(cls=Verb)
@click.argument("what", callback=not_empty, metavar="NAME|FOLDER/|id:HEX|sha256:HEX")
@click.option(
    "--save", callback=not_empty, metavar="DIR", help="Also write it to this folder; never over another file."
)
@click.option("--as", "name", callback=not_empty, metavar="NAME", help="Its name in your share.")
@click.option("--from", "source", callback=not_empty, metavar="PEER", help="Whose folder, or whose file of that name.")
@click.option("--detach", is_flag=True, help="Do not wait for it.")
@click.pass_obj
def download(
    client: Client, *, what: str, save: str | None, name: str | None, source: str | None, detach: bool
) -> None:
    """Download a file or folder into your share.

    If a name means several things you are asked; off a terminal the one that most peers hold is taken, and named.
    Off a terminal, a line a file: name, bytes, file id, and with --save where it was saved.
    """
    downloading.download(client, Wanted(what, name, source), save, detach)


@click.command(cls=Verb)
@click.argument("paths", callback=not_empty, metavar="PATH...", nargs=-1, required=True)
@click.option("--as", "name", callback=not_empty, metavar="NAME", help="Its name in your share.")
@click.pass_obj
def add(client: Client, paths: tuple[str, ...], name: str | None) -> None:
    """Put files and folders of this machine into your share.

    Off a terminal, a line a file: name, bytes, file id, state.
    """
    adding.add(client, paths, name)


@click.command(cls=Verb)
@click.argument("path", callback=not_empty, metavar="PATH")
@click.option(
    "--to", callback=not_empty, metavar="PEER", multiple=True, help="To this peer (name or id); may be repeated."
)
@click.option("--replicas", metavar="N", type=click.IntRange(1, 64), help="To so many peers with room [1], at most 64.")
@click.option("--detach", is_flag=True, help="Do not wait for it.")
@click.pass_obj
def upload(client: Client, path: str, to: tuple[str, ...], replicas: int | None, detach: bool) -> None:
    """Add a file or folder, and make other peers hold it too.

    PATH may also be the name of a file in your share.
    Off a terminal, a line a file and peer: name, peer, peer id, state, why not.
    """
    adding.upload(client, path, to=to, replicas=replicas, detach=detach)


@click.command(cls=Verb)
@click.argument("what", callback=not_empty, metavar="NAME")
@click.option("--everywhere", is_flag=True, help="Also where your uploads have placed it; an id:HEX will do, too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(client: Client, what: str, everywhere: bool, yes: bool) -> None:
    """Delete a file of your share. Other peers' copies stay.

    With --everywhere the peers on which your uploads placed a copy are told to drop it, at once or when they are
    back. A copy that somebody else's upload placed too, or that its peer has of its own, stays. An admin has any
    placed copy dropped.
    """
    if everywhere:
        removing.remove_everywhere(client, what, yes)
    else:
        removing.remove(client, what, yes)


@click.command(cls=Verb, short_help="List the files of your share, or of another peer's.")
@click.argument("prefix", default="")
@click.option("--peer", callback=not_empty, metavar="PEER", help="Another peer's share (name or id).")
@click.option("--limit", type=click.IntRange(1), help="Show at most this many.")
@click.pass_obj
def files(client: Client, prefix: str, peer: str | None, limit: int | None) -> None:
    """List the files of your share, or of a peer's, whose names begin with PREFIX.

    Off a terminal, a line a file: name, bytes, file id, ok|partial.
    """
    finding.files(client, prefix, peer, limit)


@click.command(cls=Verb)
@click.argument("match", default="")
@click.pass_obj
def peers(client: Client, match: str) -> None:
    """List the peers, or those whose name or id matches.

    Off a terminal, a line a peer: name, id, URL, files, bytes, free bytes, takes uploads (yes|no), version.
    """
    finding.peers(client, match)


@click.command(cls=Verb, short_help="Print a link for curl, a browser and other tools.")
@click.argument("what", callback=not_empty, metavar="NAME|id:HEX|sha256:HEX")
@click.option("--expires", metavar="TIME", default="1h", show_default=True, help="How long: 90s, 30m, 1h, at most 7d.")
@click.option("--all", "everywhere", is_flag=True, help="Print one for each peer that has it.")
@click.option("--meta4", is_flag=True, help="Save a NAME.meta4 for aria2 and the like: all peers, hashes of pieces.")
@click.option("--torrent", is_flag=True, help="Save a NAME.torrent, with the peers as web seeds.")
@click.option("--save", callback=not_empty, metavar="DIR", help="Where to save it [here].")
@click.pass_obj
def link(
    client: Client, *, what: str, expires: str, everywhere: bool, meta4: bool, torrent: bool, save: str | None
) -> None:
    """Print a link by which curl, a browser and other tools can fetch a file.

    Whoever has the link can fetch that file until it expires, from any peer that has it, without being a member.
    Off a terminal, a line a link; with --meta4 or --torrent, where it was saved.
    """
    seconds = linking.seconds_of(expires)
    if meta4 and torrent:
        raise WrongUsage("say --meta4 or --torrent, one at a time")
    if meta4 or torrent:
        linking.document(client, what, seconds, "meta4" if meta4 else "torrent", save)
    elif save is not None:
        raise WrongUsage("--save goes with --meta4 or --torrent; to save the file itself: download NAME --save DIR")
    else:
        linking.link(client, what, seconds, everywhere)


@click.command(cls=Verb, short_help="List transfers; pause, resume, cancel some.")
@click.argument("words", metavar="[[pause|resume|cancel] ID...]", nargs=-1)
@click.pass_obj
def transfers(client: Client, words: tuple[str, ...]) -> None:
    """List transfers; with an ID all about one; or pause, resume, cancel some.

    The beginning of an ID will do; `all` means all that can be paused, resumed, cancelled. Cancelling one that has
    ended forgets it.
    Off a terminal, a line a transfer: id, kind, state, bytes done, bytes in all, bytes a second, what.
    """
    transferring.transfers(client, words)


@click.command(cls=Verb)
@click.argument("transfer_id", metavar="ID")
@click.pass_obj
def watch(client: Client, transfer_id: str) -> None:
    """Watch a transfer until it has ended. Ctrl-C leaves it running."""
    transferring.watch_one(client, transfer_id)


@click.command(cls=Verb)
@click.pass_obj
def status(client: Client) -> None:
    """Show how your PServer is: share, locators, neighbours."""
    finding.status(client)


@click.command(cls=Verb)
@click.pass_obj
def doctor(client: Client) -> None:
    """Look for what is wrong, and say what to do about it.

    Exit code 1 if something fails; a warning is none.
    Off a terminal, a line a check: ok|warn|fail, what, detail, what to do.
    """
    doctoring.doctor(client)


VERBS: tuple[click.Command, ...] = (
    search,
    info,
    download,
    add,
    upload,
    remove,
    files,
    peers,
    link,
    transfers,
    watch,
    status,
    doctor,
    *commands_people.VERBS,
)
for verb in VERBS:
    pclient.add_command(verb)
