"""The messages of locator.proto from and to the model's values. Translates and nothing else."""

import asyncio
from collections.abc import Iterable, Sequence

from central_server import model
from central_server.answers import IndexState
from protos import locator_pb2 as pb

_PER_TURN = 50  # entries translated before others have their turn: about a tenth of a millisecond


def registration(request: pb.RegisterRequest) -> model.Registration:
    """What a peer says of itself."""
    return model.Registration(
        name=request.name,
        url=request.url,
        version=request.version,
        free_bytes=request.free_bytes,
        accepts_uploads=request.accepts_uploads,
        epoch=request.epoch,
        sequence=request.sequence,
    )


def vitals(request: pb.HeartbeatRequest) -> model.Vitals:
    """What a heartbeat carries."""
    return model.Vitals(request.free_bytes, request.accepts_uploads, request.epoch, request.sequence)


async def announcement(request: pb.AnnounceRequest) -> model.Announcement:
    """One batch. Lets others have their turn: 2,000 entries take some milliseconds."""
    is_snapshot = request.snapshot_begin or request.snapshot_end or request.snapshot_part > 0
    if is_snapshot and request.snapshot_begin != (request.snapshot_part == 0):
        raise model.InvalidRequest(why="the first part of a snapshot is part 0, and only that one has snapshot_begin")
    added: list[model.Entry] = []
    for start in range(0, len(request.added), _PER_TURN):
        added += map(entry, request.added[start : start + _PER_TURN])
        await asyncio.sleep(0)
    return model.Announcement(
        epoch=request.epoch,
        previous_sequence=request.previous_sequence,
        sequence=request.sequence,
        added=added,
        removed=list(request.removed),
        snapshot_part=request.snapshot_part if is_snapshot else None,
        snapshot_end=request.snapshot_end,
    )


def entry(message: pb.FileEntry) -> model.Entry:
    """One file of a share."""
    return model.Entry(
        message.name, message.file_id, message.size, message.sha256, message.sha256_checked, message.partial
    )


def query(message: pb.LocateQuery) -> model.Query:
    """One question of a Locate."""
    by = message.WhichOneof("by")
    if by is None:
        raise model.InvalidRequest(why="a query needs a name, a file id or a sha256")
    return model.Query(by, getattr(message, by))


def state_message(state: IndexState) -> pb.AnnounceState:
    """Where the locator is in a peer's index."""
    return pb.AnnounceState(
        epoch=state.epoch,
        sequence=state.sequence,
        snapshot_wanted=state.wanted_in is not None,
        snapshot_delay_ms=round(1000 * (state.wanted_in or 0)),
    )


def peer_message(peer: model.Peer) -> pb.Peer:
    """A peer as others reach it."""
    return pb.Peer(peer_id=peer.peer_id, name=peer.name, url=peer.url)


def entry_message(entry: model.Entry) -> pb.FileEntry:
    """One file of a share."""
    return pb.FileEntry(**entry._asdict())


def group_message(group: model.FileGroup) -> pb.FileGroup:
    """A file and who has it."""
    return pb.FileGroup(
        file_id=group.file_id,
        size=group.size,
        sha256=group.sha256,
        names=group.names,
        holders=[
            pb.Holder(
                peer=pb.Peer(peer_id=peer.peer_id, name=peer.name, url=peer.url),
                name=name,
                sha256_checked=checked,
                partial=partial,
            )
            for peer, name, checked, partial in group.holders
        ],
        holder_count=group.holder_count,
    )


def locate_reply(answers: Iterable[Sequence[model.FileGroup]]) -> pb.LocateReply:
    """One result a query, in their order."""
    return pb.LocateReply(results=[pb.LocateResult(groups=[group_message(each) for each in one]) for one in answers])


def member_message(member: model.Member, files: int, size: int, now: float) -> pb.PeerInfo:
    """A member, with the files and bytes that were asked about."""
    age = 0.0 if member.lease is None else max(0.0, now - member.lease.renewed)
    return pb.PeerInfo(
        peer=peer_message(member.peer),
        files=files,
        bytes=size,
        free_bytes=member.free_bytes,
        accepts_uploads=member.accepts_uploads,
        version=member.version,
        heartbeat_age_ms=round(1000 * age),
    )
