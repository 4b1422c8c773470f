"""Lookups as JSON: the body of `POST /peer/v1/lookups` and its answer, to and from the values of the model.

Both sides distrust each other: what comes in is checked to the last field (InvalidRequest, naming it). An answer
is hints about third peers: the bytes that one gets by it are proved later, by their hashes.
"""

from pserver.model import (
    FileEntry,
    FileGroup,
    Holder,
    InvalidRequest,
    LookupAnswer,
    LookupRequest,
    Peer,
    PeerInfo,
    Query,
)
from pserver.remote.json_fields import MAX_COUNT, MAX_FILE_BYTES, Fields, short_text

KINDS = ("locate", "search", "peers", "files")
MAX_QUERIES = 256
MAX_HOPS = 4
MAX_DEADLINE_MS = 10_000
MAX_WORDS_CHARACTERS = 256
MAX_HOLDERS = 64
MAX_GROUPS = 100  # of a search; of a located name 32
MAX_PEERS = 500
MAX_FILES = 2_000
MAX_PAGE_TOKEN_CHARACTERS = 2_048
_MAX_NAMES = 8
_MAX_VIA = 32
_MAX_VIA_CHARACTERS = 400


def request_to_json(request: LookupRequest) -> dict[str, object]:
    """The body of a lookup."""
    return {
        "kind": request.kind,
        "query_id": request.query_id,
        "hops": request.hops,
        "deadline_ms": request.deadline_ms,
        "queries": [_query_to_json(query) for query in request.queries],
        "words": request.words,
        "peer_id": request.peer_id,
        "prefix": request.prefix,
        "match": request.match,
        "folder": request.folder,
        "page_size": request.page_size,
        "page_token": request.page_token,
        "max_holders": request.max_holders,
    }


def request_from_json(body: object) -> LookupRequest:
    """The lookup in `body` (as json.loads made it); InvalidRequest names the first field that is wrong."""
    fields = Fields(body, "")
    kind = fields.text("kind", 16)
    if kind not in KINDS:
        raise InvalidRequest(f"kind: must be one of {', '.join(KINDS)}")
    request = LookupRequest(
        kind=kind,
        query_id=fields.hexadecimal("query_id", 32),
        hops=fields.integer("hops", 0, MAX_HOPS),
        deadline_ms=fields.integer("deadline_ms", 1, MAX_DEADLINE_MS),
        queries=tuple(fields.listing("queries", MAX_QUERIES, _query_from_json)),
        words=fields.text("words", MAX_WORDS_CHARACTERS, ""),
        peer_id=fields.hexadecimal("peer_id", 64) if kind == "files" else "",
        prefix=fields.prefix("prefix"),
        match=fields.text("match", 64, ""),
        folder=fields.prefix("folder"),
        page_size=fields.integer("page_size", 0, MAX_FILES, 0),
        page_token=fields.text("page_token", MAX_PAGE_TOKEN_CHARACTERS, ""),
        max_holders=fields.integer("max_holders", 0, MAX_HOLDERS, 0),
    )
    _check_needs(request)
    return request


def answer_to_json(answer: LookupAnswer) -> dict[str, object]:
    """The answer to a lookup."""
    return {
        "complete": answer.complete,
        "via": list(answer.via),
        "results": [[group_to_json(group) for group in groups] for groups in answer.results],
        "groups": [group_to_json(group) for group in answer.groups],
        "peers": [peer_info_to_json(info) for info in answer.peers],
        "files": [entry_to_json(entry) for entry in answer.files],
        "next_page_token": answer.next_page_token,
    }


def answer_from_json(body: object) -> LookupAnswer:
    """The answer in `body`; InvalidRequest if any part of it is not as agreed (then nothing of it is used)."""
    fields = Fields(body, "")
    return LookupAnswer(
        complete=fields.flag("complete"),
        via=fields.listing("via", _MAX_VIA, short_text(_MAX_VIA_CHARACTERS)),
        results=fields.listing("results", MAX_QUERIES, _groups_from_json),
        groups=fields.listing("groups", MAX_GROUPS, group_from_json),
        peers=fields.listing("peers", MAX_PEERS, peer_info_from_json),
        files=fields.listing("files", MAX_FILES, entry_from_json),
        next_page_token=fields.text("next_page_token", MAX_PAGE_TOKEN_CHARACTERS, ""),
    )


def peer_to_json(peer: Peer) -> dict[str, object]:
    """A peer."""
    return {"peer_id": peer.peer_id, "name": peer.name, "url": peer.url}


def group_to_json(group: FileGroup) -> dict[str, object]:
    """A file and its holders."""
    return {
        "file_id": group.file_id.hex(),
        "size": group.size,
        "sha256": group.sha256.hex(),
        "names": list(group.names),
        "holders": [holder_to_json(holder) for holder in group.holders],
        "holder_count": group.holder_count,
    }


def group_from_json(value: object, where: str) -> FileGroup:
    """A file and its holders."""
    fields = Fields(value, where)
    return FileGroup(
        file_id=fields.identifier("file_id"),
        size=fields.integer("size", 0, MAX_FILE_BYTES),
        sha256=fields.identifier("sha256"),
        names=fields.listing("names", _MAX_NAMES, _name_from_json),
        holders=fields.listing("holders", MAX_HOLDERS, holder_from_json),
        holder_count=fields.integer("holder_count", 0, MAX_COUNT),
    )


def holder_to_json(holder: Holder) -> dict[str, object]:
    """Who has a file, and under which name."""
    return {
        "peer": peer_to_json(holder.peer),
        "name": holder.name,
        "sha256_checked": holder.sha256_checked,
        "partial": holder.partial,
    }


def holder_from_json(value: object, where: str) -> Holder:
    """Who has a file, and under which name."""
    fields = Fields(value, where)
    return Holder(
        peer=fields.peer("peer"),
        name=fields.name("name"),
        sha256_checked=fields.flag("sha256_checked"),
        partial=fields.flag("partial", False),
    )


def entry_to_json(entry: FileEntry) -> dict[str, object]:
    """A file of one share."""
    return {
        "name": entry.name,
        "file_id": entry.file_id.hex(),
        "size": entry.size,
        "sha256": entry.sha256.hex(),
        "sha256_checked": entry.sha256_checked,
        "partial": entry.partial,
    }


def entry_from_json(value: object, where: str) -> FileEntry:
    """A file of one share."""
    fields = Fields(value, where)
    return FileEntry(
        name=fields.name("name"),
        file_id=fields.identifier("file_id"),
        size=fields.integer("size", 0, MAX_FILE_BYTES),
        sha256=fields.identifier("sha256"),
        sha256_checked=fields.flag("sha256_checked"),
        partial=fields.flag("partial", False),
    )


def peer_info_to_json(info: PeerInfo) -> dict[str, object]:
    """A peer in a list."""
    return {
        "peer": peer_to_json(info.peer),
        "files": info.files,
        "bytes": info.bytes,
        "free_bytes": info.free_bytes,
        "accepts_uploads": info.accepts_uploads,
        "version": info.version,
        "heartbeat_age": info.heartbeat_age,
    }


def peer_info_from_json(value: object, where: str) -> PeerInfo:
    """A peer in a list."""
    fields = Fields(value, where)
    return PeerInfo(
        peer=fields.peer("peer"),
        files=fields.integer("files", 0, MAX_COUNT),
        bytes=fields.integer("bytes", 0, MAX_COUNT),
        free_bytes=fields.integer("free_bytes", 0, MAX_COUNT),
        accepts_uploads=fields.flag("accepts_uploads"),
        version=fields.text("version", 32, ""),
        heartbeat_age=fields.seconds("heartbeat_age"),
    )


def _check_needs(request: LookupRequest) -> None:
    if request.kind == "locate" and not request.queries:
        raise InvalidRequest("queries: a locate asks for at least one thing")
    if request.kind == "search" and not request.words.strip():
        raise InvalidRequest("words: a search needs at least one word")
    if request.folder and not request.folder.endswith("/"):
        raise InvalidRequest("folder: must end with a slash")


def _query_to_json(query: Query) -> dict[str, object]:
    if query.name is not None:
        return {"name": query.name}
    if query.file_id is not None:
        return {"file_id": query.file_id.hex()}
    if query.sha256 is not None:
        return {"sha256": query.sha256.hex()}
    raise InvalidRequest("a query asks for a name, a file_id or a sha256")


def _query_from_json(value: object, where: str) -> Query:
    fields = Fields(value, where)
    given = [key for key in ("name", "file_id", "sha256") if fields.has(key)]
    if len(given) != 1:
        raise InvalidRequest(f"{where}: must have exactly one of name, file_id and sha256")
    if given == ["name"]:
        return Query(name=fields.name("name"))
    if given == ["file_id"]:
        return Query(file_id=fields.identifier("file_id"))
    return Query(sha256=fields.identifier("sha256"))


def _groups_from_json(value: object, where: str) -> list[FileGroup]:
    return Fields({"groups": value}, where).listing("groups", 32, group_from_json)


def _name_from_json(value: object, where: str) -> str:
    return Fields({"name": value}, where).name("name")
