"""One bundle asked of one peer: read, taken apart, and every file of it proved, in a worker's thread.

However it ends, the files whose frames had come whole by then are good and are kept.
"""

import threading
from collections.abc import Sequence

from pserver.exchange.engine import Engine
from pserver.exchange.meter import Meter
from pserver.exchange.progress import FileProgress, Live
from pserver.model import Peer, PServerError
from pserver.remote.bundle_frames import MAX_ANSWER_BYTES, BadBundle, ProvedFile, files_in, proved
from pserver.remote.peer_http import PeerDead, PeerLied
from pserver.remote.reading import Interrupt
from pserver.views import SourceView

_LOOK_SECONDS = 0.1  # how soon somebody who waits notices that he is to stop


class BundleCall:
    """A request for these files (ids) to `peer`. `run` in a worker; `wait` meanwhile.

    Afterwards: `files` that came and proved right, `later` whether some did not fit into the answer, `failure` why it
    ended early if it did, `seconds` how long it took.
    """

    def __init__(self, engine: Engine, peer: Peer, file_ids: Sequence[bytes], number: int, *, live: Live) -> None:
        self.peer = peer
        self.files: list[ProvedFile] = []
        self.later = False
        self.failure: PServerError | None = None
        self.seconds = 0.0
        self._engine = engine
        self._file_ids = file_ids
        self._number = number
        self._came = 0
        self._meter = Meter()
        self._live = live
        self._interrupt = Interrupt()
        self._cut_off = False
        self._ended = threading.Event()
        self._began = self._asked = engine.clock()

    def run(self) -> None:
        """Ask, read, prove. Raises nothing."""
        try:
            self._read()
        except PServerError as error:
            self.failure = error
        except BadBundle as error:
            self.failure = PeerLied(f"{self.peer.name} sent a wrong bundle: {error}")
        finally:
            self.seconds = self._engine.clock() - self._began
            self._ended.set()

    def look(self, now: float) -> FileProgress:
        """How it stands, for others to see."""
        source = SourceView(self.peer, "ok", self._meter.rate(now), 0, 0)
        return FileProgress(self._number, self._came, None, (source,))

    def wait(self, stopped: threading.Event) -> bool:
        """Until it has ended, or it is cut off since it takes too long: True. False as soon as `stopped` is set."""
        ends = self._began + self._engine.limits.bundle_seconds
        while not self._ended.wait(_LOOK_SECONDS):
            if stopped.is_set():
                self._end()
                return False
            if self._engine.clock() > ends:
                self._end()
        return not stopped.is_set()

    def _end(self) -> None:
        self._cut_off = True
        self._interrupt.interrupt()

    def _read(self) -> None:
        reader, length = self._engine.peers.open_bundle(self.peer, self._file_ids, self._interrupt)
        with self._engine.buffers.lend(MAX_ANSWER_BYTES) as buffer, reader:
            try:
                reader.fill(buffer[:length], self._arrived, self._allowed)
            finally:
                self._take_apart(buffer[: self._came], self._came == length)

    def _take_apart(self, received: memoryview, whole: bool) -> None:
        frames = 0
        for file in files_in(received, self._file_ids):
            frames += 1
            if file.state == "here":
                self.files.append(proved(file))
            elif file.state == "later":
                self.later = True
        if whole and frames < len(self._file_ids):
            raise BadBundle("it ends before the last of its files")

    def _allowed(self, most: int) -> int:
        count = self._engine.throttle.take(self._live, most, self._held_back)
        self._asked = self._engine.clock()
        return count

    def _held_back(self, seconds: float) -> None:
        """The download rate did not allow to read on for so long. Raises PeerDead once nobody waits for it any more."""
        self._live.worked("rate limit", seconds, self._engine.clock())
        if self._cut_off:
            raise PeerDead("it was cut off")

    def _arrived(self, part: memoryview) -> None:
        now = self._engine.clock()
        self._came += len(part)
        self._meter.add(len(part), now)
        self._live.arrived(len(part), now)
        self._live.waited(self.peer.name, now - self._asked, now)
        self._asked = now
