"""The verbs of the own PServer's client API: one method each, JSON in and out, failures as model.py's errors."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote, unquote, urlsplit

from pclient.model import (
    FileEntry,
    Files,
    Groups,
    Link,
    Making,
    NotFound,
    PClientError,
    Peers,
    Refused,
    Status,
    Transfer,
    Transfers,
    WrongUsage,
)
from pclient.model_health import Report
from pclient.model_people import Dropped, LoggedIn, WhoAmI
from pclient.wire import ANSWER_SECONDS, COMMIT_SECONDS, CONNECT_SECONDS, Ask, Params, Wire
from protos.names import InvalidName, check_name

_TUS = {"Tus-Resumable": "1.0.0"}


class Api:
    """The client API, spoken over `wire`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def status(self) -> Status:
        """How the PServer is."""
        return cast(Status, self._wire.json("GET", "/client/v1/status"))

    def doctor(self) -> Report:
        """What the PServer finds when it examines itself."""
        return cast(Report, self._wire.json("GET", "/client/v1/doctor"))

    @property
    def url(self) -> str:
        """Where the PServer is asked."""
        return self._wire.url

    def search(self, words: str, page_size: int, page_token: str = "") -> Groups:
        """A page of what matches all of `words`."""
        params: Params = {"words": words, "page_size": page_size, "page_token": page_token}
        return cast(Groups, self._wire.json("GET", "/client/v1/search", params=params))

    def lookup(self, what: str) -> Groups:
        """Who has `what`: NAME, id:HEX or sha256:HEX. Raises NotFound."""
        return cast(Groups, self._wire.json("GET", "/client/v1/lookup", params={"what": what}))

    def peers(self, match: str, page_token: str = "") -> Peers:
        """A page of the peers whose name or id matches."""
        params: Params = {"match": match, "page_token": page_token}
        return cast(Peers, self._wire.json("GET", "/client/v1/peers", params=params))

    def files(self, prefix: str, peer: str | None, page_size: int, page_token: str = "") -> Files:
        """A page of the files below `prefix`, in the own share or in that of `peer` (a name or id)."""
        path = "/client/v1/files" if peer is None else f"/client/v1/peers/{_segment(peer)}/files"
        params: Params = {"prefix": prefix, "page_size": page_size, "page_token": page_token}
        return cast(Files, self._wire.json("GET", path, params=params))

    def file(self, name: str) -> FileEntry:
        """A file of the own share. Raises NotFound; a PClientError of code "hashing" while it is being indexed."""
        return cast(FileEntry, self._wire.json("GET", f"/client/v1/files/{_path(name)}"))

    def remove(self, name: str) -> None:
        """Delete a file of the own share. Raises NotFound."""
        self._wire.send(Ask("DELETE", f"/client/v1/files/{_path(name)}"))

    def remove_everywhere(self, name: str) -> Dropped:
        """Delete a file of the own share, and have the copies dropped that the person's uploads placed."""
        answer = self._wire.json("DELETE", f"/client/v1/files/{_path(name)}", params={"everywhere": 1})
        return cast(Dropped, answer)

    def drop(self, what: str) -> Dropped:
        """Have the copies of `what` dropped that the person's uploads placed; the own share is left as it is.

        `what`: NAME or id:HEX. Raises NotFound, or Ambiguous with the choices.
        """
        return cast(Dropped, self._wire.json("POST", "/client/v1/drops", body={"what": what}))

    def signup(self, user: str, password: str) -> LoggedIn:
        """Make an account and log in. Raises Refused: signup is closed, or the name is taken."""
        return self._logged_in("/client/v1/signup", {"user": user, "password": password}, public=True)

    def login(self, user: str, password: str) -> LoggedIn:
        """Log in. Raises Refused."""
        return self._logged_in("/client/v1/login", {"user": user, "password": password}, public=True)

    def change_password(self, old: str, new: str) -> LoggedIn:
        """A new password; all sessions end, and a new one begins. Raises Refused."""
        return self._logged_in("/client/v1/password", {"old": old, "new": new}, public=False)

    def check_login(self) -> None:
        """Raises Unreachable, or Refused where a password could be read on its way: before a person types one."""
        self._check_private()
        self._wire.send(Ask("GET", "/healthz", timeout=CONNECT_SECONDS, public=True))

    def _check_private(self) -> None:
        if not self._wire.is_private:
            raise Refused(
                f"no password is sent to {self._wire.url}: others could read it on its way. Use https, "
                "or go to the machine on which the PServer runs",
                "insecure",
            )

    def _logged_in(self, path: str, body: dict[str, str], public: bool) -> LoggedIn:
        self._check_private()
        return cast(LoggedIn, self._wire.json("POST", path, body=body, public=public))

    def logout(self, everywhere: bool) -> None:
        """End the session that is shown, or all sessions of its person."""
        self._wire.send(_logout(everywhere))

    def end_session(self, secret: str) -> None:
        """End a session that was replaced. If that fails it ends when its time has come."""
        try:
            self._wire.send(_logout(False, secret))
        except PClientError:
            pass

    def whoami(self) -> WhoAmI:
        """For whom the PServer takes us. Raises Refused if it wants a login."""
        return cast(WhoAmI, self._wire.json("GET", "/client/v1/whoami"))

    @contextmanager
    def content(self, name: str, chunk_bytes: int) -> Iterator[Iterator[bytes]]:
        """The bytes of a file of the own share, in chunks. A broken connection raises Unreachable."""
        with self._wire.send(Ask("GET", f"/client/v1/content/{_path(name)}", stream=True)) as response:
            yield self._wire.chunks(response, chunk_bytes)

    def download(self, what: str, name: str | None, source: str | None, choose: str | None) -> Transfer:
        """Start a download. Raises NotFound, or Ambiguous with the choices."""
        body = {"what": what, "as": name, "from": source, "choose": choose}
        return cast(Transfer, self._wire.json("POST", "/client/v1/downloads", body=body))

    def upload(self, name: str, to: list[str], replicas: int | None) -> Transfer:
        """Start to make other peers hold a file of the own share. Raises NotFound, Ambiguous."""
        body = {"name": name, "to": to, "replicas": replicas}
        return cast(Transfer, self._wire.json("POST", "/client/v1/uploads", body=body))

    def link(self, what: str, seconds: int, choose: str | None) -> Link:
        """A link to a file that is good for so long. Raises NotFound, or Ambiguous with the choices."""
        body = {"what": what, "expires_seconds": seconds, "choose": choose}
        return cast(Link, self._wire.json("POST", "/client/v1/links", body=body))

    def document(self, file_id: str, form: str, seconds: int) -> bytes | Making:
        """The document of that form ("meta4", "torrent") about a file, with links good for so long; or ask again."""
        params: Params = {"expires_seconds": seconds}
        path = f"/client/v1/links/{_segment(file_id)}/{_segment(form)}"
        response = self._wire.send(Ask("GET", path, params=params))
        if response.status_code != 202:
            return response.content
        wait = response.headers.get("Retry-After", "")
        return Making(float(wait) if wait.isdecimal() else 1.0)

    def transfers(self, timeout: float = ANSWER_SECONDS) -> list[Transfer]:
        """All transfers, newest first, without their items."""
        return cast(Transfers, self._wire.json("GET", "/client/v1/transfers", timeout=timeout))["transfers"]

    def transfer(self, transfer_id: str, items_from: int = 0) -> Transfer:
        """One transfer, with up to 100 of its items from the given one on."""
        params: Params = {"items_from": items_from or None}
        return cast(Transfer, self._wire.json("GET", f"/client/v1/transfers/{_segment(transfer_id)}", params=params))

    def pause(self, transfer_id: str) -> Transfer:
        """Pause a transfer."""
        return cast(Transfer, self._wire.json("POST", f"/client/v1/transfers/{_segment(transfer_id)}/pause"))

    def resume(self, transfer_id: str) -> Transfer:
        """Let a paused transfer go on."""
        return cast(Transfer, self._wire.json("POST", f"/client/v1/transfers/{_segment(transfer_id)}/resume"))

    def cancel(self, transfer_id: str) -> None:
        """Cancel a live transfer, forget an ended one."""
        self._wire.send(Ask("DELETE", f"/client/v1/transfers/{_segment(transfer_id)}"))

    def begin_sending(self, name: str, length: int) -> tuple[str, "Sent"]:
        """Begin to send a file of `length` bytes: where it goes, and what is there so far. tus 1.0 (creation)."""
        metadata = "filename " + base64.b64encode(name.encode()).decode()
        headers = {**_TUS, "Upload-Length": str(length), "Upload-Metadata": metadata}
        response = self._wire.send(Ask("POST", "/client/v1/tus", headers=headers))
        # Only the path: the token must not follow an address in an answer.
        path = urlsplit(response.headers.get("Location", "")).path
        if not path.startswith("/client/v1/tus/"):
            raise PClientError("the PServer did not say where to send the file")
        return path, _sent(response.headers, 0)

    def sent(self, path: str) -> "Sent":
        """How much of a file has arrived (after a broken connection)."""
        return _sent(self._wire.send(Ask("HEAD", path, headers=_TUS)).headers, 0)

    def send_chunk(self, path: str, offset: int, chunk: bytes) -> "Sent":
        """Send the bytes at `offset`, at most 8 MiB, with their sha256. tus 1.0 (core, checksum)."""
        checksum = base64.b64encode(hashlib.sha256(chunk).digest()).decode()
        headers = {
            **_TUS,
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(offset),
            "Upload-Checksum": f"sha256 {checksum}",
        }
        return _sent(
            self._wire.send(Ask("PATCH", path, headers=headers, data=chunk, timeout=COMMIT_SECONDS)).headers,
            offset + len(chunk),
        )

    def end_sending(self, path: str) -> None:
        """Have the sending of a file forgotten; what is in the share stays there. tus 1.0 (termination)."""
        self._wire.send(Ask("DELETE", path, headers=_TUS, timeout=5.0))


def _logout(everywhere: bool, proof: str | None = None) -> Ask:
    body = json.dumps({"everywhere": everywhere}).encode()
    return Ask("POST", "/client/v1/logout", headers={"Content-Type": "application/json"}, data=body, proof=proof)


@dataclass(frozen=True, slots=True)
class Sent:
    """How many bytes of a file have arrived; once all have, the `name` it got in the share."""

    offset: int
    name: str | None


def _sent(headers: Mapping[str, str], expected: int) -> Sent:
    offset, name = headers.get("Upload-Offset", ""), headers.get("P2P-Name")
    return Sent(int(offset) if offset.isdecimal() else expected, None if name is None else unquote(name))


def _segment(text: str) -> str:
    """One segment of a URL's path, dots included: "..", unescaped, would mean another path."""
    if text in {"", ".", ".."}:
        raise NotFound(f"there is nothing called '{text}'")
    return _quoted(text, "")


def _path(name: str) -> str:
    """A file's name in a URL's path. Checked first, so that no part of it is "..". Raises WrongUsage."""
    try:
        return _quoted(check_name(name), "/")
    except InvalidName as error:
        raise WrongUsage(f"{error}: {name}") from None


def _quoted(text: str, safe: str) -> str:
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError:
        raise WrongUsage("that is not valid UTF-8") from None
