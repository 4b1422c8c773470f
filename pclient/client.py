"""What every command is given: the API, the person, what was seen so far, and the time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pclient.api import Api
from pclient.model import FileEntry, FileGroup, Transfer
from pclient.talk import Talk

_T = TypeVar("_T")
_REMEMBERED = 5000
_MAX_NUMBER_DIGITS = 6


@dataclass(slots=True)
class Seen:
    """What the shell has shown: for completion, and for `download 2` (line 2 of the last list of files)."""

    lines: list[tuple[str, str]] = field(default_factory=list)  # (name, file id)
    names: dict[str, str] = field(default_factory=dict)  # name -> file id
    peers: dict[str, None] = field(default_factory=dict)
    transfers: dict[str, str] = field(default_factory=dict)  # id -> label

    def groups(self, found: Sequence[FileGroup], continues: bool) -> None:
        """A list of search results was shown. `continues`: it goes on where the last one ended."""
        self.lines = self.lines if continues else []
        self.lines += [(group["names"][0] if group["names"] else "", group["file_id"]) for group in found]
        self.holdings(found)

    def holdings(self, found: Sequence[FileGroup]) -> None:
        """Files and their holders were shown, without numbers."""
        for group in found:
            self._remember(self.names, dict.fromkeys(group["names"], group["file_id"]))
            self._remember(self.peers, {holder["peer"]["name"]: None for holder in group["holders"]})

    def files(self, found: Sequence[FileEntry], continues: bool) -> None:
        """A share's files were listed."""
        self.lines = self.lines if continues else []
        self.lines += [(entry["name"], entry["file_id"]) for entry in found]
        self._remember(self.names, {entry["name"]: entry["file_id"] for entry in found})

    def peer_names(self, names: Sequence[str]) -> None:
        """Peers were listed."""
        self._remember(self.peers, dict.fromkeys(names))

    def transfer(self, transfer: Transfer) -> None:
        """A transfer was begun or listed."""
        self._remember(self.transfers, {transfer["id"]: transfer["label"]})

    def line(self, what: str) -> tuple[str, str] | None:
        """(name, file id) of the line that `what` numbers, if it is a number of the last list."""
        if not (what.isascii() and what.isdecimal() and len(what) <= _MAX_NUMBER_DIGITS):
            return None
        return self.lines[int(what) - 1] if 1 <= int(what) <= len(self.lines) else None

    @staticmethod
    def _remember(kept: dict[str, _T], new: dict[str, _T]) -> None:
        """Remember the newest; forget the oldest beyond a bound."""
        kept.update(new)
        while len(kept) > _REMEMBERED:
            del kept[next(iter(kept))]


@dataclass(slots=True)
class Client:
    """`clock` in seconds, monotonic; `wait` sleeps that many. `in_shell`: more commands may follow.

    `background`: ids of transfers that the person has begun and not yet seen the end of.
    """

    api: Api
    talk: Talk
    history_file: Path
    clock: Callable[[], float]
    wait: Callable[[float], None]
    debug: bool = False
    in_shell: bool = False
    seen: Seen = field(default_factory=Seen)
    background: set[str] = field(default_factory=set)

    def command(self, words: str) -> str:
        """How to type a command here."""
        return words if self.in_shell else f"pclient {words}"
