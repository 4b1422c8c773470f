"""What the shell has shown: for completion, for `download 2`, and for ids of which only the beginning is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from pclient.model import FileEntry, FileGroup, Transfer

_T = TypeVar("_T")
_REMEMBERED = 5000
_MAX_NUMBER_DIGITS = 6


class Line(NamedTuple):
    """A line of a list of files. `holders`: the ids of the peers that were listed as having it. `is_own`: of ours."""

    name: str
    file_id: str
    holders: frozenset[str] = frozenset()
    is_own: bool = False


class Recent(Generic[_T]):
    """Keys with a value each, of the lists that were shown; of too many the oldest are forgotten."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[int, _T]] = {}  # key -> (number of its newest list, value)
        self._list = 0

    def add(self, shown: Mapping[str, _T], continues: bool = False) -> None:
        """A list was shown. `continues`: it goes on where the last one ended."""
        self._list += not continues
        for key, value in shown.items():
            self._kept.pop(key, None)
            self._kept[key] = (self._list, value)
        while len(self._kept) > _REMEMBERED:
            del self._kept[next(iter(self._kept))]

    def items(self) -> list[tuple[str, _T]]:
        """What is remembered: the newest list first, each list in its own order."""
        by_list = sorted(self._kept.items(), key=lambda item: -item[1][0])
        return [(key, value) for key, (_, value) in by_list]


@dataclass(slots=True)
class Seen:
    """`lines`: of the last list of files. The rest by name or id: what belongs to it."""

    lines: list[Line] = field(default_factory=list)
    names: Recent[str] = field(default_factory=Recent)  # name -> file id
    ids: Recent[None] = field(default_factory=Recent)  # of files
    peers: Recent[None] = field(default_factory=Recent)  # by name
    transfers: Recent[str] = field(default_factory=Recent)  # id -> label

    def groups(self, found: Sequence[FileGroup], continues: bool) -> None:
        """A list of search results was shown. `continues`: it goes on where the last one ended."""
        self.lines = self.lines if continues else []
        self.lines += [_line(group) for group in found]
        self.holdings(found, continues)

    def holdings(self, found: Sequence[FileGroup], continues: bool = False) -> None:
        """Files and their holders were shown, without numbers."""
        self.names.add({name: group["file_id"] for group in found for name in group["names"]}, continues)
        self.ids.add(dict.fromkeys(group["file_id"] for group in found), continues)
        self.peers.add(
            dict.fromkeys(holder["peer"]["name"] for group in found for holder in group["holders"]), continues
        )

    def files(self, found: Sequence[FileEntry], continues: bool, is_own: bool) -> None:
        """The files of one share were listed: of the own, or of another."""
        self.lines = self.lines if continues else []
        self.lines += [Line(entry["name"], entry["file_id"], is_own=is_own) for entry in found]
        self.names.add({entry["name"]: entry["file_id"] for entry in found}, continues)
        self.ids.add(dict.fromkeys(entry["file_id"] for entry in found), continues)

    def files_by_id(self, file_ids: Sequence[str]) -> None:
        """Files were named by their ids alone, as in a table of what was downloaded."""
        self.ids.add(dict.fromkeys(file_ids))

    def peer_names(self, names: Sequence[str]) -> None:
        """Peers were listed."""
        self.peers.add(dict.fromkeys(names))

    def begun(self, found: Sequence[Transfer]) -> None:
        """Transfers were begun or listed."""
        self.transfers.add({transfer["id"]: transfer["label"] for transfer in found})

    def line(self, what: str) -> Line | None:
        """The line that `what` numbers, if it is a number of the last list."""
        if not (what.isascii() and what.isdecimal() and len(what) <= _MAX_NUMBER_DIGITS):
            return None
        return self.lines[int(what) - 1] if 1 <= int(what) <= len(self.lines) else None

    def ids_like(self, beginning: str) -> list[str]:
        """The ids of files just seen that begin so."""
        return [file_id for file_id, _ in self.ids.items() if file_id.startswith(beginning.lower())]


def _line(group: FileGroup) -> Line:
    holders = frozenset(holder["peer"]["peer_id"] for holder in group["holders"])
    return Line(group["names"][0] if group["names"] else "", group["file_id"], holders)
