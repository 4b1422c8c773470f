"""Sending one file to the own PServer in resumable chunks (tus 1.0)."""

import os
from typing import BinaryIO

from pclient.api import Api, Sent
from pclient.client import Client
from pclient.model import PClientError
from pclient.progress import Display, Moment

CHUNK_BYTES = 8 * 1024 * 1024  # the most that the PServer takes at once
_TRIES = 9  # in a row without progress: about 20 s
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
# Trying again does not help with these.
_FINAL = frozenset({"no-room", "too-large", "invalid", "refused", "misdirected", "not-found", "local"})


def send(client: Client, file: BinaryIO, name: str, display: Display) -> str:
    """Send an open file; the name it got in the share. Resumes after a broken connection.

    Raises PClientError, of code "local" if the file changed meanwhile. Then, and after Ctrl-C, nothing stays at the
    PServer.
    """
    length = os.fstat(file.fileno()).st_size
    path, sent = client.api.begin_sending(name, length)
    try:
        return _Sending(client, file, path, name, display).run(sent)
    finally:
        _forget(client.api, path)


def _forget(api: Api, path: str) -> None:
    """Let the PServer drop what it keeps of the upload: what has come, unless that is in the share by now."""
    try:
        api.end_sending(path)
    except PClientError:
        pass  # the PServer lets it expire


class _Sending:
    """Sends what is missing until the PServer names the file. After a failure it first asks how much has arrived."""

    def __init__(self, client: Client, file: BinaryIO, path: str, name: str, display: Display) -> None:
        self._client = client
        self._file = file
        self._path = path
        self._name = name
        self._display = display
        self._before = os.fstat(file.fileno())
        self._began = client.clock()
        self._furthest = 0
        self._failures = 0

    def run(self, sent: Sent) -> str:
        """Send on from `sent`; the name the file got. Raises PClientError when trying again is of no use."""
        known: Sent | None = sent
        while known is None or known.name is None:
            self._display.show(self._moment(known))
            try:
                known = self._step(known)
            except PClientError as error:
                self._bear(error)
                known = None
        return known.name

    def _step(self, known: Sent | None) -> Sent:
        if known is None:
            return self._client.api.sent(self._path)
        after = self._client.api.send_chunk(self._path, known.offset, self._chunk(known.offset))
        if after.offset > self._furthest:
            self._furthest, self._failures = after.offset, 0
        if after.name is None and after.offset >= self._before.st_size:
            raise PClientError("the PServer has all bytes but does not say under which name")
        return after

    def _chunk(self, offset: int) -> bytes:
        """The next bytes. Checked before they are sent: the last chunk makes the file appear in the share."""
        self._file.seek(offset)
        try:
            chunk = self._file.read(CHUNK_BYTES)
        except OSError as error:
            raise PClientError(f"cannot read {self._name}: {error.strerror}", "local") from None
        now = os.fstat(self._file.fileno())
        before = self._before
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise PClientError(f"{self._name} changed while it was sent; nothing was added", "local")
        return chunk

    def _bear(self, error: PClientError) -> None:
        """Wait a little before the next try, longer each time; raise `error` where that is of no use."""
        self._failures += 1
        if error.code in _FINAL or error.exit_code in {2, 3, 4} or self._failures >= _TRIES:
            raise error
        self._client.wait(min(_FIRST_PAUSE_SECONDS * 2**self._failures, _LONGEST_PAUSE_SECONDS))

    def _moment(self, known: Sent | None) -> Moment:
        done, total = self._furthest, self._before.st_size
        seconds = self._client.clock() - self._began
        rate = done / seconds if seconds > 0 else 0.0
        return Moment(
            label=f"sending {self._name}",
            state="running",
            done=done,
            total=total,
            rate=rate,
            remaining=(total - done) / rate if rate > 0 else None,
            note="the connection broke; trying again" if known is None else "",
        )
