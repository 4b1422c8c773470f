"""What could come next in the shell: commands, options, peers, names and transfers just seen, local paths.

Pure but for listing local folders; prompt.py shows it.
"""

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from pclient.seen import Recent, Seen
from pclient.text import harmless, short_id

_MAX_OFFERED = 200
_OF_SHELL = ("help", "quit")
_LOCAL_ARGUMENT = frozenset({"add", "upload"})
_NAME_ARGUMENT = frozenset({"download", "info", "remove", "files", "link"})
_PEER_OPTIONS = frozenset({"--to", "--from", "--peer"})
_ACTIONS = ("pause", "resume", "cancel")


@dataclass(frozen=True, slots=True)
class Offer:
    """`text` replaces the last `length` characters before the cursor; `shown` is what is listed."""

    text: str
    shown: str
    length: int


@dataclass(frozen=True, slots=True)
class Typed:
    """The words before the one at the cursor, that word without quotes, and its length as it was typed."""

    words: tuple[str, ...]
    word: str
    length: int


def typed(line: str) -> Typed:
    """Take a line apart that may end in mid-word or mid-quote. The rules are those of shlex."""
    words: list[str] = []
    word, start, quote, escaped = "", -1, "", False
    for index, character in enumerate(line):
        if escaped:
            word, escaped = word + character, False
        elif character == "\\" and quote != "'":
            escaped, start = True, index if start < 0 else start
        elif character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote, start = character, index if start < 0 else start
        elif not quote and character.isspace():
            words, word, start = (words if start < 0 else [*words, word]), "", -1
        else:
            word, start = word + character, index if start < 0 else start
    return Typed(tuple(words), word, 0 if start < 0 else len(line) - start)


def offers(line: str, commands: Sequence[click.Command], seen: Seen) -> list[Offer]:
    """What could stand at the end of `line`, best first."""
    at = typed(line)
    by_name = {str(command.name): command for command in commands}
    found = _completed(at, by_name, seen)
    return [Offer(text, shown, at.length) for (text, shown), _ in zip(found, range(_MAX_OFFERED), strict=False)]


def _completed(at: Typed, commands: dict[str, click.Command], seen: Seen) -> Iterator[tuple[str, str]]:
    """Cases: 1. the command; 2. what an option takes; 3. an option; 4. an argument."""
    if not at.words or at.words == ("help",):
        yield from _beginning([*commands, *_OF_SHELL], at.word)
        return
    command = commands.get(at.words[0])
    if command is None:
        return
    before = at.words[-1]
    if before in _PEER_OPTIONS:
        yield from _beginning(_keys(seen.peers), at.word)
    elif before == "--save":
        yield from _paths(at.word, folders_only=True)
    elif at.word.startswith("-"):
        yield from _beginning(_options(command), at.word)
    else:
        yield from _arguments(at, seen)


def _options(command: click.Command) -> list[str]:
    return [name for option in command.params if isinstance(option, click.Option) for name in option.opts]


def _arguments(at: Typed, seen: Seen) -> Iterator[tuple[str, str]]:
    command = at.words[0]
    if command in _LOCAL_ARGUMENT:
        yield from _paths(at.word, folders_only=False)
    elif command in _NAME_ARGUMENT:
        yield from _names(at.word, seen)
    elif command == "peers":
        yield from _beginning(_keys(seen.peers), at.word)
    elif command in {"transfers", "watch"}:
        if command == "transfers" and len(at.words) == 1:
            yield from _beginning(_ACTIONS, at.word)
        elif command == "transfers" and len(at.words) == 2:
            yield from _beginning(("all",), at.word)
        yield from _transfers(at.word, seen)


def _beginning(candidates: Iterable[str], word: str) -> Iterator[tuple[str, str]]:
    """A candidate with a character that could act on the terminal is not offered: it would be put in the line."""
    for candidate in candidates:
        if candidate.startswith(word) and harmless(candidate) == candidate:
            yield shlex.quote(candidate) + " ", candidate


def _keys(recent: Recent[None]) -> Iterator[str]:
    return (key for key, _ in recent.items())


def _names(word: str, seen: Seen) -> Iterator[tuple[str, str]]:
    """The newest list first. A name that would act on the terminal is offered by its id."""
    for name, file_id in seen.names.items():
        if name.startswith(word):
            plain = harmless(name) == name
            yield (shlex.quote(name) if plain else f"id:{file_id}") + " ", harmless(name)
        elif word.startswith("id:") and f"id:{file_id}".startswith(word):
            yield f"id:{file_id} ", f"id:{short_id(file_id)}… {harmless(name)}"


def _transfers(word: str, seen: Seen) -> Iterator[tuple[str, str]]:
    for transfer_id, label in seen.transfers.items():
        if transfer_id.startswith(word):
            yield f"{transfer_id} ", harmless(f"{transfer_id}  {label}")


def _paths(word: str, folders_only: bool) -> Iterator[tuple[str, str]]:
    """Local paths that go on from `word`; folders end in a slash, so that one can go on into them."""
    above, beginning = os.path.split(word)
    folder = Path(os.path.expanduser(above or "."))  # noqa: PTH111  # Path.expanduser raises for an unknown user
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (OSError, ValueError):
        return
    for entry in entries:
        hidden = entry.name.startswith(".") and not beginning.startswith(".")
        if hidden or not entry.name.startswith(beginning) or harmless(entry.name) != entry.name:
            continue
        path = os.path.join(above, entry.name)  # noqa: PTH118  # keeps "~" and "./" as they were typed
        if entry.is_dir():
            yield _quoted_path(path + "/"), f"{entry.name}/"
        elif not folders_only:
            yield _quoted_path(path) + " ", entry.name


def _quoted_path(path: str) -> str:
    return path if path.startswith("~") and " " not in path else shlex.quote(path)
