"""The service Locator: gRPC messages to the rules and back. Translates and nothing else."""

import time
from collections.abc import Mapping

from central_server import __version__, messages, model
from central_server.calls import Call, Method
from central_server.locator import Locator
from central_server.pages import cursor_of, page_token
from central_server.placements import Placements
from protos import locator_pb2 as pb

SERVICE = "p2p.locator.v1.Locator"
SEARCH_SECONDS = 5.0


class Service:
    """One method an rpc: translate, ask the rules, translate. `placements` None: accounts are off."""

    def __init__(self, locator: Locator, locator_id: str, placements: Placements | None = None) -> None:
        self._locator = locator
        self._placements = placements
        self._locator_id = bytes.fromhex(locator_id)
        self._lease_ms = round(1000 * locator.terms.lease)
        self._heartbeat_ms = round(1000 * locator.terms.heartbeat)

    async def register(self, request: pb.RegisterRequest, call: Call) -> pb.RegisterReply:
        """Register."""
        done = await self._locator.register(call.peer_id, messages.registration(request), call.now)
        return pb.RegisterReply(
            lease_id=done.lease_id,
            lease_ms=self._lease_ms,
            heartbeat_ms=self._heartbeat_ms,
            state=messages.state_message(done.state),
            neighbours=map(messages.peer_message, done.neighbours),
            reachable=done.unreachable_why is None,
            unreachable_why=done.unreachable_why or "",
            locator_time_ms=time.time_ns() // 1_000_000,
            locator_id=self._locator_id,
            accounts=self._placements is not None,
            orders_waiting=self._orders_wait(call.peer_id),
            version=__version__,
        )

    async def heartbeat(self, request: pb.HeartbeatRequest, call: Call) -> pb.HeartbeatReply:
        """Heartbeat."""
        alive = await self._locator.heartbeat(call.peer_id, request.lease_id, messages.vitals(request), call.now)
        return pb.HeartbeatReply(
            lease_ms=self._lease_ms,
            heartbeat_ms=self._heartbeat_ms,
            state=messages.state_message(alive.state),
            neighbours=map(messages.peer_message, alive.neighbours),
            accounts=self._placements is not None,
            orders_waiting=self._orders_wait(call.peer_id),
        )

    async def announce(self, request: pb.AnnounceRequest, call: Call) -> pb.AnnounceReply:
        """Announce."""
        batch = await messages.announcement(request)
        state = await self._locator.announce(call.peer_id, request.lease_id, batch, call.now)
        return pb.AnnounceReply(state=messages.state_message(state))

    async def leave(self, request: pb.LeaveRequest, call: Call) -> pb.LeaveReply:
        """Leave."""
        await self._locator.leave(call.peer_id, request.lease_id, call.now)
        return pb.LeaveReply()

    async def locate(self, request: pb.LocateRequest, call: Call) -> pb.LocateReply:
        """Locate."""
        queries = [messages.query(each) for each in request.queries]
        return messages.locate_reply(await self._locator.locate(queries, request.max_holders, call.now))

    async def search(self, request: pb.SearchRequest, call: Call) -> pb.SearchReply:
        """Search."""
        name_no, file_no = cursor_of(request, request.page_token, (0, 0))
        after, seconds = (int(name_no), int(file_no)), min(call.seconds, SEARCH_SECONDS)
        page = await self._locator.search(request.words, after, request.page_size, call.now, seconds)
        groups = map(messages.group_message, page.groups)
        return pb.SearchReply(groups=groups, next_page_token=page_token(request, page.after))

    async def list_peers(self, request: pb.ListPeersRequest, call: Call) -> pb.ListPeersReply:
        """ListPeers."""
        name, peer_id = map(str, cursor_of(request, request.page_token, ("", "")))
        try:
            after = (name, bytes.fromhex(peer_id))
        except ValueError:
            raise model.InvalidRequest(why="the page token is malformed") from None
        page = await self._locator.list_peers(request.match, request.folder, after, request.page_size, call.now)
        return pb.ListPeersReply(
            peers=[messages.member_message(*each, now=call.now) for each in page.members],
            next_page_token=page_token(request, page.after and (page.after[0], page.after[1].hex())),
        )

    async def list_files(self, request: pb.ListFilesRequest, call: Call) -> pb.ListFilesReply:
        """ListFiles."""
        [after] = map(str, cursor_of(request, request.page_token, ("",)))
        page = await self._locator.list_files(request.peer_id, request.prefix, after, request.page_size, call.now)
        return pb.ListFilesReply(
            files=map(messages.entry_message, page.entries),
            next_page_token=page_token(request, None if page.after is None else (page.after,)),
        )

    async def place_upload(self, request: pb.PlaceUploadRequest, call: Call) -> pb.PlaceUploadReply:
        """PlaceUpload."""
        found = await self._locator.place_upload(
            call.peer_id, request.file_id, request.size, request.count, exclude=request.exclude, now=call.now
        )
        return pb.PlaceUploadReply(targets=map(messages.peer_message, found))

    def _orders_wait(self, peer_id: bytes) -> bool:
        return self._placements is not None and self._placements.are_waiting(peer_id)


METHODS: Mapping[str, Method] = {
    "Register": Method("membership", pb.RegisterRequest, Service.register),
    "Heartbeat": Method("membership", pb.HeartbeatRequest, Service.heartbeat),
    "Announce": Method("membership", pb.AnnounceRequest, Service.announce),
    "Leave": Method("membership", pb.LeaveRequest, Service.leave),
    "Locate": Method("locate", pb.LocateRequest, Service.locate),
    "Search": Method("locate", pb.SearchRequest, Service.search),
    "ListPeers": Method("locate", pb.ListPeersRequest, Service.list_peers),
    "ListFiles": Method("locate", pb.ListFilesRequest, Service.list_files),
    "PlaceUpload": Method("membership", pb.PlaceUploadRequest, Service.place_upload),
}
