"""A peer that gives bundles, for tests: a FakeSource that also answers POST /peer/v1/bundles, honestly or not."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

from pserver.pieces import SmallFile
from pserver.remote.bundle_frames import frames_of
from tests.pserver.fake_source import FakeSource

Twist = Callable[[list[SmallFile]], list[SmallFile]]


class FakeBundler(FakeSource):
    """`denies`: it has none of them. `twist`: what it makes of the files of a bundle before it sends them.

    `die_after`, `stall_after`: bytes of one bundle. `told`: the Content-Length is so much more than what is sent.
    `bundles`: the ids of each bundle that it was asked for.
    """

    denies = False
    twist: Twist | None = None
    die_after: int | None = None
    stall_after: int | None = None
    told = 0
    refuse_bundles: int | None = None

    def __enter__(self) -> "FakeBundler":
        super().__enter__()
        return self

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        source, base = self, super()._handler()
        self.bundles: list[list[bytes]] = []

        class Handler(base):  # type: ignore[misc, valid-type]  # made at run time
            def do_POST(self) -> None:
                source._bundle(self)

        return Handler

    def _bundle(self, request: BaseHTTPRequestHandler) -> None:
        asked = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        self._verifier.check(request.headers["Authorization"].removeprefix("Bearer "), "bundle", time.time())
        ids = [bytes.fromhex(one) for one in asked["file_ids"]]
        self.bundles.append(ids)
        if self.refuse_bundles is not None:
            request.send_error(self.refuse_bundles)
            return
        files = [self._small(one) for one in ids]
        body = b"".join(frames_of(files if self.twist is None else self.twist(files)))
        cuts = [cut for cut in (self.die_after, self.stall_after) if cut is not None]
        request.send_response(200)
        request.send_header("Content-Length", str(len(body) + self.told))
        request.end_headers()
        request.wfile.write(body[: min(cuts)] if cuts else body)
        request.wfile.flush()
        if self.stall_after is not None:
            self._ended.wait(30)
        if cuts:
            request.close_connection = True

    def _small(self, file_id: bytes) -> SmallFile:
        file = self._files.get(file_id.hex())
        if file is None or self.denies:
            return SmallFile(file_id, "gone")
        if file.manifest.piece_count > 1:
            return SmallFile(file_id, "large")
        return SmallFile(file_id, "here", file.manifest.encode(), file.content)


def flip(files: list[SmallFile]) -> list[SmallFile]:
    """With a bit flipped in the third."""
    wrong = bytes([files[2].content[0] ^ 1]) + files[2].content[1:]
    return [*files[:2], replace(files[2], content=wrong), *files[3:]]


def swap(files: list[SmallFile]) -> list[SmallFile]:
    """In another order than that asked for."""
    return [*files[:2], files[3], files[2], *files[4:]]


def drop_last(files: list[SmallFile]) -> list[SmallFile]:
    """One frame too few."""
    return files[:-1]


def one_more(files: list[SmallFile]) -> list[SmallFile]:
    """One frame too many."""
    return [*files, files[0]]


def half(files: list[SmallFile]) -> list[SmallFile]:
    """The answer is full after half of them (after one, of two)."""
    middle = -(-len(files) // 2)
    return files[:middle] + [SmallFile(file.file_id, "later") for file in files[middle:]]
