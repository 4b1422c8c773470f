"""Several answers to one lookup become one. Pure.

Answers of other peers are hints: whatever they claim about a file is proved when its bytes come. Still, what cannot
be an answer to the question is left out here, and nothing grows beyond what may travel.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from pserver.model import FileEntry, FileGroup, Holder, LookupAnswer, LookupRequest, PeerInfo, Query

MAX_NAMES = 8
MAX_GROUPS_A_QUERY = 32
MAX_GROUPS = 100
MAX_PEERS = 500
MAX_FILES = 2000
MAX_VIA = 16
DEFAULT_HOLDERS = 16
MAX_HOLDERS = 64


@dataclass(slots=True)
class _Gathered:
    """One file, as it is put together."""

    group: FileGroup
    names: dict[str, None] = field(default_factory=dict)
    holders: dict[str, Holder] = field(default_factory=dict)
    count: int = 0

    def add(self, group: FileGroup) -> None:
        self.names.update(dict.fromkeys(group.names))
        for holder in group.holders:
            self.holders.setdefault(holder.peer.peer_id, holder)
        self.count = max(self.count, group.holder_count, len(self.holders))

    def done(self, most_holders: int) -> FileGroup:
        names, holders = list(self.names)[:MAX_NAMES], list(self.holders.values())[:most_holders]
        return replace(self.group, names=names, holders=holders, holder_count=self.count)


def merge_groups(lists: Iterable[Iterable[FileGroup]], most_holders: int) -> list[FileGroup]:
    """One group a file, a holder once in each (of two sayings about it the first counts), in the order of their coming.

    Groups that differ in what they say of a file id's size or sha256 stay apart: one of them lies.
    """
    gathered: dict[tuple[bytes, int, bytes], _Gathered] = {}
    for groups in lists:
        for group in groups:
            key = (group.file_id, group.size, group.sha256)
            gathered.setdefault(key, _Gathered(group)).add(group)
    return [each.done(most_holders) for each in gathered.values()]


def one_group_a_file(groups: Iterable[FileGroup], most_holders: int) -> dict[bytes, FileGroup]:
    """By file id; where sayings about it differ, that of most holders, with the holders of all."""
    found: dict[bytes, FileGroup] = {}
    for group in sorted(groups, key=lambda group: -group.holder_count):
        first = found.setdefault(group.file_id, group)
        known = {holder.peer.peer_id for holder in first.holders}
        more = [holder for holder in group.holders if holder.peer.peer_id not in known]
        found[group.file_id] = replace(first, holders=(first.holders + more)[:most_holders])
    return found


def fitting(query: Query, groups: Iterable[FileGroup]) -> list[FileGroup]:
    """Those groups that can answer `query`; for a sha256, with the holders that checked it only."""
    if query.file_id is not None:
        return [group for group in groups if group.file_id == query.file_id]
    if query.sha256 is not None:
        checked = [_checked_only(group) for group in groups if group.sha256 == query.sha256]
        return [group for group in checked if group.holders]
    return list(groups)


def merge(request: LookupRequest, own: LookupAnswer, answers: Sequence[LookupAnswer]) -> LookupAnswer:
    """The one answer to `request` out of the own holdings and what came, complete if one of `answers` is.

    1. locate: all of it counts, first what is known best (own, complete, the rest).
    2. Paged kinds, a complete answer: that page, and on the first page the own part. Later pages leave out what the
       own part has shown there.
    3. Paged kinds, no complete answer: all of it, in one page.
    """
    ordered = sorted(answers, key=lambda answer: not answer.complete)
    complete = ordered[0] if ordered and ordered[0].complete else None
    merged = LookupAnswer(complete=complete is not None, via=_ways(answers, own))
    most_holders = min(request.max_holders or DEFAULT_HOLDERS, MAX_HOLDERS)
    if request.kind == "locate":
        merged.results = _merge_results(request.queries, [own, *ordered], most_holders)
        return merged
    if complete is None:
        _fill(merged, [own, *ordered], most_holders)
    elif request.page_token:
        _fill(merged, [_without(complete, own)], most_holders)
    else:
        _fill(merged, [own, complete], most_holders, first=complete)
    merged.next_page_token = complete.next_page_token if complete is not None else ""
    return merged


def _merge_results(queries: Sequence[Query], answers: Sequence[LookupAnswer], most: int) -> list[list[FileGroup]]:
    results = []
    for number, query in enumerate(queries):
        lists = [fitting(query, answer.results[number]) for answer in answers if number < len(answer.results)]
        groups = sorted(merge_groups(lists, most), key=lambda group: -group.holder_count)
        results.append(groups[:MAX_GROUPS_A_QUERY])
    return results


def _fill(
    merged: LookupAnswer, answers: Sequence[LookupAnswer], most_holders: int, first: LookupAnswer | None = None
) -> None:
    """Put the lists of `answers` together in `merged`; groups in the order that `first` has them, the rest after."""
    groups = merge_groups([answer.groups for answer in answers], most_holders)
    place = {group.file_id: number for number, group in enumerate(first.groups if first is not None else [])}
    most = MAX_GROUPS if first is None else 2 * MAX_GROUPS  # a page of the locator's, and the own part
    merged.groups = sorted(groups, key=lambda group: place.get(group.file_id, len(place)))[:most]
    merged.peers = _merge_peers(answer.peers for answer in answers)[:MAX_PEERS]
    merged.files = _merge_files(answer.files for answer in answers)[:MAX_FILES]


def _merge_peers(lists: Iterable[Iterable[PeerInfo]]) -> list[PeerInfo]:
    found: dict[str, PeerInfo] = {}
    for infos in lists:
        for info in infos:
            found.setdefault(info.peer.peer_id, info)
    return sorted(found.values(), key=lambda info: (info.peer.name.casefold(), info.peer.peer_id))


def _merge_files(lists: Iterable[Iterable[FileEntry]]) -> list[FileEntry]:
    found: dict[str, FileEntry] = {}
    for entries in lists:
        for entry in entries:
            found.setdefault(entry.name, entry)
    return sorted(found.values(), key=lambda entry: entry.name)


def _without(page: LookupAnswer, own: LookupAnswer) -> LookupAnswer:
    files = {group.file_id for group in own.groups}
    peers = {info.peer.peer_id for info in own.peers}
    return replace(
        page,
        groups=[group for group in page.groups if group.file_id not in files],
        peers=[info for info in page.peers if info.peer.peer_id not in peers],
    )


def _checked_only(group: FileGroup) -> FileGroup:
    holders = [holder for holder in group.holders if holder.sha256_checked]
    unchecked = len(group.holders) - len(holders)
    return replace(group, holders=holders, holder_count=max(len(holders), group.holder_count - unchecked))


def _ways(answers: Sequence[LookupAnswer], own: LookupAnswer) -> list[str]:
    ways = [way for answer in answers for way in answer.via]
    return list(dict.fromkeys(ways or own.via))[:MAX_VIA]
