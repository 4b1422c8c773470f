"""One right input or two for each target, from which machines start. No tests here."""

import base64
import json
from collections.abc import Mapping

from protos import locator_pb2 as pb
from protos.grants import make_grant
from protos.links import make_link
from pserver.digests import Digests
from pserver.pieces import MIN_PIECE_BYTES, Manifest, SmallFile
from pserver.remote.bundle_frames import frames_of
from tests.abuse.fuzz_targets import _ISSUER, _TARGET_ID, NOW
from tests.central_server import samples

_PEER = {"peer_id": "ab" * 32, "name": "ann", "url": "http://10.0.0.1:8001"}
_GROUP = {"file_id": "01" * 32, "size": 5, "sha256": "02" * 32, "names": ["a"], "holder_count": 1,
          "holders": [{"peer": _PEER, "name": "a", "sha256_checked": True}]}  # fmt: skip
_ANSWER = {"complete": True, "via": ["own"], "results": [[_GROUP]], "groups": [_GROUP], "next_page_token": ""}
_REQUEST = {"kind": "locate", "query_id": "ab" * 16, "hops": 2, "deadline_ms": 1000,
            "queries": [{"name": "a"}, {"sha256": "cd" * 32}]}  # fmt: skip
_MANIFEST = Manifest(5, MIN_PIECE_BYTES, b"\x02" * 32, b"\x03" * 32)
_ENTRY = samples.entry("b.txt")
_DELTA = pb.AnnounceRequest(
    epoch=samples.epoch("1"), previous_sequence=1, sequence=2, added=[pb.FileEntry(**_ENTRY._asdict())],
    removed=["a.txt"],
)  # fmt: skip
_PART = pb.AnnounceRequest(epoch=samples.epoch("2"), sequence=9, snapshot_begin=True, snapshot_end=True)


def _text(value: object) -> bytes:
    return json.dumps(value).encode()


SEEDS: Mapping[str, list[bytes]] = {
    "range_header": [b"\x04\x00bytes=0-99", b"\x00\x09bytes=-3", b"\x01\x00bytes 0-99/256", b"\x04\x00bytes=5-, 7-9"],
    "manifest": [_MANIFEST.encode(), Manifest(0, MIN_PIECE_BYTES, b"\x02" * 32, b"").encode()],
    "token": [_ISSUER.token(_TARGET_ID, "file", NOW).encode(), _text({"exp": 1, "scope": "file", "fid": None})],
    "link": [make_link(_ISSUER, "cd" * 32, NOW, 60).encode(), _text({"exp": True, "fid": "cd" * 32})],
    "grant": [
        make_grant(
            _ISSUER, user="ann", admin=False, verb="hold", file_id="cd" * 32, target=_TARGET_ID, by=None, now=NOW
        ).encode(),
        _text({"sub": "bob", "verb": "drop", "admin": 1, "by": "ef" * 32}),
    ],
    "announce": [_DELTA.SerializeToString(), _PART.SerializeToString()],
    "locator_question": [
        b"\x00" + pb.RegisterRequest(name="ann", url="http://10.0.0.1:1", version="1").SerializeToString(),
        b"\x01" + pb.HeartbeatRequest(lease_id=b"\x01" * 16).SerializeToString(),
        b"\x02" + pb.LocateRequest(queries=[pb.LocateQuery(name="a.txt")], max_holders=2).SerializeToString(),
        b"\x03" + pb.ListPeersRequest(match="ann", folder="docs/", page_token="WyJhIl0=").SerializeToString(),
        b"\x04" + pb.ListFilesRequest(peer_id=samples.peer_id("ann"), prefix="a").SerializeToString(),
    ],
    "name": ["docs/\u00e4.txt".encode(), b"../../etc/passwd", "a\u0301/b".encode(), b"\xed\xa0\x80"],
    "url": [b"http://10.0.0.1:8001", b"https://[::1]:0", b"http://a@b:1"],
    "tus_headers": [b"filename " + base64.b64encode(b"a.txt") + b",x YQ==", b"sha256 " + base64.b64encode(b"\1" * 32)],
    "lookup_json": [_text(_REQUEST), _text(_ANSWER), _text({"file_ids": ["ab" * 32]})],
    "bundle_frames": [
        b"".join(frames_of([SmallFile(b"\0" * 32, "here", _MANIFEST.encode(), b"hello"), SmallFile(b"", "gone")])),
        b"".join(frames_of([SmallFile(b"", "later"), SmallFile(b"", "large")])),
    ],
    "swarm_messages": [
        b"2 8 gA==\nAQ==",
        b"gAAA",
        _text({"bitfield": "gA==", "peers": [{"peer": _PEER, "bitfield": "gA=="}]}),
    ],
    "bitfields": [b"\x00\x09\xff\x80", b"\x00\x0a\xff\xff"],
    "digests": [Digests(5, 256 * 1024, b"\x02" * 32, b"\x03" * 20, b"\x04" * 32).encode()],
}
