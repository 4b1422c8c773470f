"""What this peer itself can say to a lookup: from its own share, without asking anybody."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from pserver.model import FileGroup, Holder, LookupAnswer, LookupRequest, Peer, PeerInfo, Query, SharedFile

OWN_SHARE = "own share"
_SEARCH_PAGE = 25
_MAX_SEARCH_PAGE = 100
_OWN_PAGE = "own:"  # a page token of this peer's own; the locator's are base64
_FILES_PAGE = 500
_MAX_FILES_PAGE = 2000
_MAX_COUNTED = 100_000  # files below a folder; beyond that the count stands for "many"


class OwnShare(Protocol):
    """What is asked of the share. Thread-safe."""

    def by_name(self, name: str) -> SharedFile | None: ...
    def all_by_file_id(self, file_id: bytes) -> Sequence[SharedFile]: ...
    def all_by_sha256(self, sha256: bytes) -> Sequence[SharedFile]:
        """Only those whose sha256 this peer computed itself."""

    def files(self, prefix: str, after: str, limit: int) -> Sequence[SharedFile]: ...
    def search(self, words: str, limit: int) -> Sequence[SharedFile]: ...


class Holdings:
    """Answers from the own share. `info` gives this peer as it stands in a list of peers."""

    def __init__(self, own: Callable[[], Peer], share: OwnShare, info: Callable[[], PeerInfo]) -> None:
        self._own = own
        self._share = share
        self._info = info

    def answer(self, request: LookupRequest) -> LookupAnswer:
        """What is here for `request`. It is complete only if nobody else could say more: of the own files."""
        answer = LookupAnswer(complete=False, via=[OWN_SHARE])
        if request.kind == "locate":
            answer.results = [self._group(self._located(query)) for query in request.queries]
        elif request.kind == "search":
            most = min(request.page_size or _SEARCH_PAGE, _MAX_SEARCH_PAGE)
            answer.groups = self._group(self._share.search(request.words, most))
        elif request.kind == "peers":
            answer.peers = self._as_listed(request.match, request.folder)
        elif request.peer_id == self._own().peer_id:
            self._list_files(request, answer)
        return answer

    def _located(self, query: Query) -> Sequence[SharedFile]:
        if query.name is not None:
            found = self._share.by_name(query.name)
            return [] if found is None else [found]
        if query.file_id is not None:
            return self._share.all_by_file_id(query.file_id)
        assert query.sha256 is not None
        return self._share.all_by_sha256(query.sha256)

    def _group(self, files: Iterable[SharedFile]) -> list[FileGroup]:
        groups: dict[bytes, FileGroup] = {}
        for file in files:
            known = groups.get(file.file_id)
            if known is not None:
                known.names.append(file.name)
                continue
            holder = Holder(self._own(), file.name, file.sha256_checked)
            groups[file.file_id] = FileGroup(file.file_id, file.size, file.sha256, [file.name], [holder], 1)
        return list(groups.values())

    def _as_listed(self, match: str, folder: str) -> list[PeerInfo]:
        if not _matches(self._own(), match):
            return []
        info = replace(self._info(), peer=self._own(), heartbeat_age=None)
        if folder:
            files, size = self._count_below(folder)
            info = replace(info, files=files, bytes=size)
        return [info] if info.files or not folder else []

    def _count_below(self, folder: str) -> tuple[int, int]:
        count, size, after = 0, 0, ""
        while count < _MAX_COUNTED:
            page = self._share.files(folder, after, _MAX_FILES_PAGE)
            count, size = count + len(page), size + sum(file.size for file in page)
            if len(page) < _MAX_FILES_PAGE:
                break
            after = page[-1].name
        return count, size

    def _list_files(self, request: LookupRequest, answer: LookupAnswer) -> None:
        if request.page_token and not request.page_token.startswith(_OWN_PAGE):
            return  # a page of the locator's list, which knows where that goes on
        limit = min(request.page_size or _FILES_PAGE, _MAX_FILES_PAGE)
        page = self._share.files(request.prefix, request.page_token.removeprefix(_OWN_PAGE), limit)
        answer.files = [file.entry() for file in page]
        answer.next_page_token = _OWN_PAGE + page[-1].name if len(page) == limit else ""
        answer.complete = True


def _matches(peer: Peer, match: str) -> bool:
    return not match or match == peer.name or (len(match) >= 8 and peer.peer_id.startswith(match.lower()))
