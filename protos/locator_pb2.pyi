from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_MEMBER: _ClassVar[Role]
    ROLE_ADMIN: _ClassVar[Role]
ROLE_UNSPECIFIED: Role
ROLE_MEMBER: Role
ROLE_ADMIN: Role

class Peer(_message.Message):
    __slots__ = ("peer_id", "name", "url")
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    peer_id: bytes
    name: str
    url: str
    def __init__(self, peer_id: _Optional[bytes] = ..., name: _Optional[str] = ..., url: _Optional[str] = ...) -> None: ...

class AnnounceState(_message.Message):
    __slots__ = ("epoch", "sequence", "snapshot_wanted", "snapshot_delay_ms")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_WANTED_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    epoch: bytes
    sequence: int
    snapshot_wanted: bool
    snapshot_delay_ms: int
    def __init__(self, epoch: _Optional[bytes] = ..., sequence: _Optional[int] = ..., snapshot_wanted: _Optional[bool] = ..., snapshot_delay_ms: _Optional[int] = ...) -> None: ...

class RegisterRequest(_message.Message):
    __slots__ = ("name", "url", "version", "free_bytes", "accepts_uploads", "epoch", "sequence")
    NAME_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ACCEPTS_UPLOADS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    url: str
    version: str
    free_bytes: int
    accepts_uploads: bool
    epoch: bytes
    sequence: int
    def __init__(self, name: _Optional[str] = ..., url: _Optional[str] = ..., version: _Optional[str] = ..., free_bytes: _Optional[int] = ..., accepts_uploads: _Optional[bool] = ..., epoch: _Optional[bytes] = ..., sequence: _Optional[int] = ...) -> None: ...

class RegisterReply(_message.Message):
    __slots__ = ("lease_id", "lease_ms", "heartbeat_ms", "state", "neighbours", "reachable", "unreachable_why", "locator_time_ms", "locator_id", "accounts", "orders_waiting", "version")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_MS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOURS_FIELD_NUMBER: _ClassVar[int]
    REACHABLE_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_WHY_FIELD_NUMBER: _ClassVar[int]
    LOCATOR_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    LOCATOR_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    ORDERS_WAITING_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    lease_id: bytes
    lease_ms: int
    heartbeat_ms: int
    state: AnnounceState
    neighbours: _containers.RepeatedCompositeFieldContainer[Peer]
    reachable: bool
    unreachable_why: str
    locator_time_ms: int
    locator_id: bytes
    accounts: bool
    orders_waiting: bool
    version: str
    def __init__(self, lease_id: _Optional[bytes] = ..., lease_ms: _Optional[int] = ..., heartbeat_ms: _Optional[int] = ..., state: _Optional[_Union[AnnounceState, _Mapping]] = ..., neighbours: _Optional[_Iterable[_Union[Peer, _Mapping]]] = ..., reachable: _Optional[bool] = ..., unreachable_why: _Optional[str] = ..., locator_time_ms: _Optional[int] = ..., locator_id: _Optional[bytes] = ..., accounts: _Optional[bool] = ..., orders_waiting: _Optional[bool] = ..., version: _Optional[str] = ...) -> None: ...

class HeartbeatRequest(_message.Message):
    __slots__ = ("lease_id", "free_bytes", "epoch", "sequence", "accepts_uploads")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ACCEPTS_UPLOADS_FIELD_NUMBER: _ClassVar[int]
    lease_id: bytes
    free_bytes: int
    epoch: bytes
    sequence: int
    accepts_uploads: bool
    def __init__(self, lease_id: _Optional[bytes] = ..., free_bytes: _Optional[int] = ..., epoch: _Optional[bytes] = ..., sequence: _Optional[int] = ..., accepts_uploads: _Optional[bool] = ...) -> None: ...

class HeartbeatReply(_message.Message):
    __slots__ = ("lease_ms", "heartbeat_ms", "state", "neighbours", "accounts", "orders_waiting")
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_MS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOURS_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    ORDERS_WAITING_FIELD_NUMBER: _ClassVar[int]
    lease_ms: int
    heartbeat_ms: int
    state: AnnounceState
    neighbours: _containers.RepeatedCompositeFieldContainer[Peer]
    accounts: bool
    orders_waiting: bool
    def __init__(self, lease_ms: _Optional[int] = ..., heartbeat_ms: _Optional[int] = ..., state: _Optional[_Union[AnnounceState, _Mapping]] = ..., neighbours: _Optional[_Iterable[_Union[Peer, _Mapping]]] = ..., accounts: _Optional[bool] = ..., orders_waiting: _Optional[bool] = ...) -> None: ...

class FileEntry(_message.Message):
    __slots__ = ("name", "file_id", "size", "sha256", "sha256_checked", "partial")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SHA256_CHECKED_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    name: str
    file_id: bytes
    size: int
    sha256: bytes
    sha256_checked: bool
    partial: bool
    def __init__(self, name: _Optional[str] = ..., file_id: _Optional[bytes] = ..., size: _Optional[int] = ..., sha256: _Optional[bytes] = ..., sha256_checked: _Optional[bool] = ..., partial: _Optional[bool] = ...) -> None: ...

class AnnounceRequest(_message.Message):
    __slots__ = ("lease_id", "epoch", "previous_sequence", "sequence", "added", "removed", "snapshot_begin", "snapshot_end", "snapshot_part")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_BEGIN_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_END_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_PART_FIELD_NUMBER: _ClassVar[int]
    lease_id: bytes
    epoch: bytes
    previous_sequence: int
    sequence: int
    added: _containers.RepeatedCompositeFieldContainer[FileEntry]
    removed: _containers.RepeatedScalarFieldContainer[str]
    snapshot_begin: bool
    snapshot_end: bool
    snapshot_part: int
    def __init__(self, lease_id: _Optional[bytes] = ..., epoch: _Optional[bytes] = ..., previous_sequence: _Optional[int] = ..., sequence: _Optional[int] = ..., added: _Optional[_Iterable[_Union[FileEntry, _Mapping]]] = ..., removed: _Optional[_Iterable[str]] = ..., snapshot_begin: _Optional[bool] = ..., snapshot_end: _Optional[bool] = ..., snapshot_part: _Optional[int] = ...) -> None: ...

class AnnounceReply(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: AnnounceState
    def __init__(self, state: _Optional[_Union[AnnounceState, _Mapping]] = ...) -> None: ...

class LeaveRequest(_message.Message):
    __slots__ = ("lease_id",)
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    lease_id: bytes
    def __init__(self, lease_id: _Optional[bytes] = ...) -> None: ...

class LeaveReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LocateQuery(_message.Message):
    __slots__ = ("name", "file_id", "sha256")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    name: str
    file_id: bytes
    sha256: bytes
    def __init__(self, name: _Optional[str] = ..., file_id: _Optional[bytes] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class LocateRequest(_message.Message):
    __slots__ = ("queries", "max_holders")
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    MAX_HOLDERS_FIELD_NUMBER: _ClassVar[int]
    queries: _containers.RepeatedCompositeFieldContainer[LocateQuery]
    max_holders: int
    def __init__(self, queries: _Optional[_Iterable[_Union[LocateQuery, _Mapping]]] = ..., max_holders: _Optional[int] = ...) -> None: ...

class LocateReply(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[LocateResult]
    def __init__(self, results: _Optional[_Iterable[_Union[LocateResult, _Mapping]]] = ...) -> None: ...

class LocateResult(_message.Message):
    __slots__ = ("groups",)
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[FileGroup]
    def __init__(self, groups: _Optional[_Iterable[_Union[FileGroup, _Mapping]]] = ...) -> None: ...

class FileGroup(_message.Message):
    __slots__ = ("file_id", "size", "sha256", "names", "holders", "holder_count")
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    HOLDERS_FIELD_NUMBER: _ClassVar[int]
    HOLDER_COUNT_FIELD_NUMBER: _ClassVar[int]
    file_id: bytes
    size: int
    sha256: bytes
    names: _containers.RepeatedScalarFieldContainer[str]
    holders: _containers.RepeatedCompositeFieldContainer[Holder]
    holder_count: int
    def __init__(self, file_id: _Optional[bytes] = ..., size: _Optional[int] = ..., sha256: _Optional[bytes] = ..., names: _Optional[_Iterable[str]] = ..., holders: _Optional[_Iterable[_Union[Holder, _Mapping]]] = ..., holder_count: _Optional[int] = ...) -> None: ...

class Holder(_message.Message):
    __slots__ = ("peer", "name", "sha256_checked", "partial")
    PEER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHA256_CHECKED_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    peer: Peer
    name: str
    sha256_checked: bool
    partial: bool
    def __init__(self, peer: _Optional[_Union[Peer, _Mapping]] = ..., name: _Optional[str] = ..., sha256_checked: _Optional[bool] = ..., partial: _Optional[bool] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("words", "page_size", "page_token")
    WORDS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    words: str
    page_size: int
    page_token: str
    def __init__(self, words: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class SearchReply(_message.Message):
    __slots__ = ("groups", "next_page_token")
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[FileGroup]
    next_page_token: str
    def __init__(self, groups: _Optional[_Iterable[_Union[FileGroup, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListPeersRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "match", "folder")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MATCH_FIELD_NUMBER: _ClassVar[int]
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    match: str
    folder: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., match: _Optional[str] = ..., folder: _Optional[str] = ...) -> None: ...

class PeerInfo(_message.Message):
    __slots__ = ("peer", "files", "bytes", "free_bytes", "accepts_uploads", "version", "heartbeat_age_ms")
    PEER_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ACCEPTS_UPLOADS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    peer: Peer
    files: int
    bytes: int
    free_bytes: int
    accepts_uploads: bool
    version: str
    heartbeat_age_ms: int
    def __init__(self, peer: _Optional[_Union[Peer, _Mapping]] = ..., files: _Optional[int] = ..., bytes: _Optional[int] = ..., free_bytes: _Optional[int] = ..., accepts_uploads: _Optional[bool] = ..., version: _Optional[str] = ..., heartbeat_age_ms: _Optional[int] = ...) -> None: ...

class ListPeersReply(_message.Message):
    __slots__ = ("peers", "next_page_token")
    PEERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    peers: _containers.RepeatedCompositeFieldContainer[PeerInfo]
    next_page_token: str
    def __init__(self, peers: _Optional[_Iterable[_Union[PeerInfo, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListFilesRequest(_message.Message):
    __slots__ = ("peer_id", "prefix", "page_size", "page_token")
    PEER_ID_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    peer_id: bytes
    prefix: str
    page_size: int
    page_token: str
    def __init__(self, peer_id: _Optional[bytes] = ..., prefix: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListFilesReply(_message.Message):
    __slots__ = ("files", "next_page_token")
    FILES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[FileEntry]
    next_page_token: str
    def __init__(self, files: _Optional[_Iterable[_Union[FileEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PlaceUploadRequest(_message.Message):
    __slots__ = ("file_id", "size", "count", "exclude")
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_FIELD_NUMBER: _ClassVar[int]
    file_id: bytes
    size: int
    count: int
    exclude: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, file_id: _Optional[bytes] = ..., size: _Optional[int] = ..., count: _Optional[int] = ..., exclude: _Optional[_Iterable[bytes]] = ...) -> None: ...

class PlaceUploadReply(_message.Message):
    __slots__ = ("targets",)
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    targets: _containers.RepeatedCompositeFieldContainer[Peer]
    def __init__(self, targets: _Optional[_Iterable[_Union[Peer, _Mapping]]] = ...) -> None: ...

class SignupRequest(_message.Message):
    __slots__ = ("user", "password")
    USER_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    user: str
    password: str
    def __init__(self, user: _Optional[str] = ..., password: _Optional[str] = ...) -> None: ...

class LoginRequest(_message.Message):
    __slots__ = ("user", "password")
    USER_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    user: str
    password: str
    def __init__(self, user: _Optional[str] = ..., password: _Optional[str] = ...) -> None: ...

class SessionReply(_message.Message):
    __slots__ = ("session", "user", "role", "expires_ms")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    session: str
    user: str
    role: Role
    expires_ms: int
    def __init__(self, session: _Optional[str] = ..., user: _Optional[str] = ..., role: _Optional[_Union[Role, str]] = ..., expires_ms: _Optional[int] = ...) -> None: ...

class LogoutRequest(_message.Message):
    __slots__ = ("session", "everywhere")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    EVERYWHERE_FIELD_NUMBER: _ClassVar[int]
    session: str
    everywhere: bool
    def __init__(self, session: _Optional[str] = ..., everywhere: _Optional[bool] = ...) -> None: ...

class LogoutReply(_message.Message):
    __slots__ = ("ended",)
    ENDED_FIELD_NUMBER: _ClassVar[int]
    ended: int
    def __init__(self, ended: _Optional[int] = ...) -> None: ...

class CheckSessionRequest(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: str
    def __init__(self, session: _Optional[str] = ...) -> None: ...

class CheckSessionReply(_message.Message):
    __slots__ = ("user", "role", "expires_ms")
    USER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    user: str
    role: Role
    expires_ms: int
    def __init__(self, user: _Optional[str] = ..., role: _Optional[_Union[Role, str]] = ..., expires_ms: _Optional[int] = ...) -> None: ...

class ChangePasswordRequest(_message.Message):
    __slots__ = ("session", "old_password", "new_password")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    OLD_PASSWORD_FIELD_NUMBER: _ClassVar[int]
    NEW_PASSWORD_FIELD_NUMBER: _ClassVar[int]
    session: str
    old_password: str
    new_password: str
    def __init__(self, session: _Optional[str] = ..., old_password: _Optional[str] = ..., new_password: _Optional[str] = ...) -> None: ...

class GrantHoldRequest(_message.Message):
    __slots__ = ("session", "file_id", "targets")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    session: str
    file_id: bytes
    targets: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, session: _Optional[str] = ..., file_id: _Optional[bytes] = ..., targets: _Optional[_Iterable[bytes]] = ...) -> None: ...

class GrantHoldReply(_message.Message):
    __slots__ = ("grants",)
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    grants: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, grants: _Optional[_Iterable[str]] = ...) -> None: ...

class DropPlacedRequest(_message.Message):
    __slots__ = ("session", "file_id")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    session: str
    file_id: bytes
    def __init__(self, session: _Optional[str] = ..., file_id: _Optional[bytes] = ...) -> None: ...

class DropPlacedReply(_message.Message):
    __slots__ = ("present", "away")
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    AWAY_FIELD_NUMBER: _ClassVar[int]
    present: _containers.RepeatedCompositeFieldContainer[Peer]
    away: int
    def __init__(self, present: _Optional[_Iterable[_Union[Peer, _Mapping]]] = ..., away: _Optional[int] = ...) -> None: ...

class TakeOrdersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Order(_message.Message):
    __slots__ = ("order_id", "grant")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    GRANT_FIELD_NUMBER: _ClassVar[int]
    order_id: bytes
    grant: str
    def __init__(self, order_id: _Optional[bytes] = ..., grant: _Optional[str] = ...) -> None: ...

class TakeOrdersReply(_message.Message):
    __slots__ = ("orders",)
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[Order]
    def __init__(self, orders: _Optional[_Iterable[_Union[Order, _Mapping]]] = ...) -> None: ...

class FinishOrdersRequest(_message.Message):
    __slots__ = ("order_ids",)
    ORDER_IDS_FIELD_NUMBER: _ClassVar[int]
    order_ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, order_ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class FinishOrdersReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
