"""The client API's answers: values of the model as JSON. Times are ISO 8601 in UTC, ids lower-case hex."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from protos.links import link_url
from pserver.api.verbs import StatusView
from pserver.digests import LinkView
from pserver.findings import FAIL, Finding
from pserver.model import (
    FileEntry,
    FileGroup,
    LookupAnswer,
    OfferView,
    Peer,
    PeerInfo,
)
from pserver.people import Dropped, LoggedIn, Person
from pserver.remote.lookup_json import entry_to_json, group_to_json, peer_info_to_json, peer_to_json
from pserver.views import ItemView, ShareView, SourceView, TargetView, TransferView

Json = dict[str, object]


def json_bytes(value: object) -> bytes:
    """JSON in UTF-8. Half a surrogate pair, as in a name on disk that is not UTF-8, becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def choices_to_json(choices: object) -> list[object]:
    """What an ambiguous request can be made unambiguous by: peers, peers of a list, or groups."""
    return [_choice_to_json(choice) for choice in choices] if isinstance(choices, Iterable) else []


def groups_to_json(answer: LookupAnswer) -> Json:
    """An answer that is one list of groups."""
    return {"groups": [group_to_json(group) for group in answer.groups], **_way(answer)}


def groups_page_to_json(answer: LookupAnswer) -> Json:
    """A page of groups."""
    return {**groups_to_json(answer), "next_page_token": answer.next_page_token}


def peers_page_to_json(answer: LookupAnswer) -> Json:
    """A page of peers."""
    peers = [peer_info_to_json(info) for info in answer.peers]
    return {"peers": peers, "next_page_token": answer.next_page_token, **_way(answer)}


def peer_files_page_to_json(answer: LookupAnswer) -> Json:
    """A page of another peer's files."""
    return {**files_page_to_json(answer.files, answer.next_page_token), **_way(answer)}


def files_page_to_json(files: list[FileEntry], next_page_token: str) -> Json:
    """A page of files."""
    return {"files": [entry_to_json(entry) for entry in files], "next_page_token": next_page_token}


def link_to_json(link: LinkView) -> Json:
    """A link: its URL at each holder, and at the first also those of the documents about the file."""
    file = link.offered
    urls = [link_url(base, link.token, file.name) for base in file.holders]
    return {
        "name": file.name,
        "file_id": file.file_id.hex(),
        "size": file.size,
        "url": urls[0],
        "urls": urls,
        "meta4_url": link_url(file.holders[0], link.token, file.name, "meta4"),
        "torrent_url": link_url(file.holders[0], link.token, file.name, "torrent"),
        "expires": iso(link.expires),
    }


def offer_to_json(offer: OfferView) -> Json:
    """How far an offer is."""
    return {
        "offer_id": offer.offer_id,
        "state": offer.state,
        "bytes_done": offer.bytes_done,
        "name": offer.name,
        "error": offer.error,
    }


def logged_in_to_json(begun: LoggedIn) -> Json:
    """A session that has begun."""
    return {"session": begun.session, **person_to_json(begun.person)}


def person_to_json(person: Person) -> Json:
    """Who somebody is; `expires` in Unix seconds."""
    expires = None if person.expires is None else int(person.expires)
    return {"user": person.user, "role": person.role, "expires": expires}


def dropped_to_json(dropped: Dropped) -> Json:
    """Who was ordered to drop a file."""
    present = [peer.name for peer in dropped.present]
    return {"file_id": dropped.file_id.hex(), "ordered_present": present, "ordered_away": dropped.away}


def status_to_json(status: StatusView) -> Json:
    """How this peer is doing."""
    ok, why = status.reachable
    return {
        "peer": peer_to_json(status.peer),
        "version": status.version,
        "uptime_seconds": status.uptime_seconds,
        "reachable": {"ok": ok, "why": why},
        "share": _share_to_json(status.share),
        "locators": [{"address": where, "state": state, "why": why} for where, state, why in status.locators],
        "neighbours": [{"peer": peer_to_json(peer), "state": state} for peer, state in status.neighbours],
        "transfers": {state: status.transfers.get(state, 0) for state in ("running", "queued", "paused", "failed")},
        "accepts_uploads": status.accepts_uploads,
    }


def findings_to_json(findings: Sequence[Finding]) -> Json:
    """An examination: all that was looked at, and whether nothing of it fails."""
    checks = [{"what": one.what, "state": one.state, "detail": one.detail, "advice": one.advice} for one in findings]
    return {"healthy": all(one.state != FAIL for one in findings), "checks": checks}


def transfer_to_json(transfer: TransferView) -> Json:
    """A transfer with its items."""
    return {**transfer_line_to_json(transfer), "items": [_item_to_json(item) for item in transfer.items]}


def transfer_line_to_json(transfer: TransferView) -> Json:
    """A transfer as it is in a list."""
    return {
        "id": transfer.id,
        "kind": transfer.kind,
        "label": transfer.label,
        "state": transfer.state,
        "bytes_total": transfer.bytes_total,
        "bytes_done": transfer.bytes_done,
        "files_total": transfer.files_total,
        "files_done": transfer.files_done,
        "rate": transfer.rate,
        "eta_seconds": transfer.eta_seconds,
        "standstill": transfer.standstill,
        "bottleneck": transfer.bottleneck,
        "error": transfer.error and {"code": transfer.error[0], "detail": transfer.error[1]},
        "created": iso(transfer.created),
        "ended": None if transfer.ended is None else iso(transfer.ended),
        "sources": [_source_to_json(source) for source in transfer.sources],
        "targets": [_target_to_json(target) for target in transfer.targets],
    }


def iso(unix_seconds: float) -> str:
    """A time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _choice_to_json(choice: object) -> object:
    if isinstance(choice, FileGroup):
        return group_to_json(choice)
    if isinstance(choice, PeerInfo):
        return peer_info_to_json(choice)
    return peer_to_json(choice) if isinstance(choice, Peer) else str(choice)


def _way(answer: LookupAnswer) -> Json:
    return {"via": list(answer.via), "complete": answer.complete}


def _share_to_json(share: ShareView) -> Json:
    return {
        "path": share.path,
        "files": share.files,
        "bytes": share.bytes,
        "free_bytes": share.free_bytes,
        "scanning": share.scanning,
        "hashing": share.hashing,
        "error": share.error,
        "skipped": [{"name": name, "why": why} for name, why in share.skipped],
        "skipped_count": share.skipped_count,
    }


def _item_to_json(item: ItemView) -> Json:
    return {
        "name": item.name,
        "final_name": item.final_name,
        "file_id": item.file_id.hex(),
        "size": item.size,
        "state": item.state,
        "bytes_done": item.bytes_done,
        "error": item.error,
    }


def _source_to_json(source: SourceView) -> Json:
    return {
        "peer": peer_to_json(source.peer),
        "state": source.state,
        "rate": source.rate,
        "pieces": source.pieces,
        "bytes": source.bytes,
        "errors": source.errors,
        "why": source.why,
    }


def _target_to_json(target: TargetView) -> Json:
    return {
        "peer": peer_to_json(target.peer),
        "state": target.state,
        "bytes_done": target.bytes_done,
        "error": target.error,
    }
