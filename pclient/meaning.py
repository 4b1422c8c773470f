"""What a word means that stands for a file: a line of the last list, or the beginning of an id just seen."""

from pclient.client import Client
from pclient.model import WrongUsage
from pclient.seen import Line
from pclient.text import short_id

_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_ID_DIGITS = 64


def of_file(client: Client, what: str) -> str:
    """`what`, with an id in full. Raises WrongUsage if it is not known which id begins so."""
    line = line_of(client, what)
    return in_full(client, what) if line is None else f"id:{line.file_id}"


def line_of(client: Client, what: str) -> Line | None:
    """The line of the last list that `what` numbers: said, since it could also be a name. Only in the shell."""
    line = client.seen.line(what)
    if line is not None:
        client.talk.say(f"line {what} is {line.name or short_id(line.file_id)}")
    return line


def in_full(client: Client, what: str) -> str:
    """An id of which only the beginning is given, in full; whatever else it is, as it is.

    Three cases: 1. in the shell one id just seen begins so; 2. several do; 3. none does, so nobody knows the rest.
    """
    kind, _, digits = what.partition(":")
    if kind not in {"id", "sha256"} or len(digits) >= _ID_DIGITS or not digits or set(digits) - _HEX_DIGITS:
        return what
    found = client.seen.ids_like(digits) if kind == "id" else []
    if len(found) == 1:
        return f"id:{found[0]}"
    if found:
        raise WrongUsage(f"{len(found)} files just seen have an id that begins with {digits}: give more digits")
    raise WrongUsage(
        f"an {kind} has {_ID_DIGITS} digits, this is the beginning of one ({len(digits)}). "
        f"In full it is in: {client.command('info NAME')}, and wherever you say --json"
    )
