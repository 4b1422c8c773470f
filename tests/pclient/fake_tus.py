"""The fake PServer's HTTP: what every request goes through, and tus 1.0."""

import base64
import hashlib
import json
import socket
from abc import abstractmethod
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.pclient.fake_pserver import FakePServer, Problem


class TusHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    fake: FakePServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815  # http.server's names

    def _handle(self) -> None:
        self.url = urlsplit(self.path)
        self.query = {key: values[0] for key, values in parse_qs(self.url.query).items()}
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fake = self.fake
        with fake.lock:
            fake.requests.append((self.command, unquote(self.url.path)))
            fake.headers.append(dict(self.headers))
            try:
                if fake.answer_all is not None and fake.answer_all(self):
                    return
                self.authorize()
                self.route(unquote(self.url.path))
            except Problem as problem:
                body = {"type": "about:blank", "title": "x", "status": problem.status, "detail": problem.detail}
                answer = json.dumps({**body, "code": problem.code, **problem.more}).encode()
                self.answer(problem.status, answer, {"Content-Type": "application/problem+json"})
            finally:
                fake.looked.set()

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, value: object, status: int = 200) -> None:
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def authorize(self) -> None:
        """Raise a Problem unless the request shows what it needs."""
        public = self.url.path == "/healthz"
        if not public and self.headers.get("Authorization") != f"Bearer {self.fake.token}":
            raise Problem(401, "refused", "the token is not this PServer's")

    @abstractmethod
    def route(self, path: str) -> None:
        """Answer what is asked of that path."""

    def tus(self, number: str) -> None:
        if self.headers.get("Tus-Resumable") != "1.0.0":
            raise Problem(412, "invalid", "Tus-Resumable: must be 1.0.0")
        if self.command == "POST":
            return self._tus_begin()
        upload = self.fake.uploads.get(number)
        if upload is None:
            raise Problem(404, "not-found", "no such upload")
        if self.command == "DELETE":
            del self.fake.uploads[number]
            return self.answer(204)
        if self.command == "PATCH":
            return self._tus_append(upload)
        return self.answer(200, b"", self._told(upload))

    def _told(self, upload: dict[str, Any]) -> dict[str, str]:
        name = {"P2P-Name": quote(upload["final"])} if upload["final"] else {}
        return {"Tus-Resumable": "1.0.0", "Upload-Offset": str(len(upload["bytes"])), **name}

    def _tus_begin(self) -> None:
        length = int(self.headers["Upload-Length"])
        if length > 2**30:
            raise Problem(507, "no-room", "there is no room for that")
        key, value = self.headers["Upload-Metadata"].split(" ")
        assert key == "filename"
        upload = {"name": base64.b64decode(value).decode(), "length": length, "bytes": b"", "final": None}
        number = f"u{len(self.fake.requests)}"
        self.fake.uploads[number] = upload
        self.answer(201, b"", {"Location": f"http://elsewhere.example/client/v1/tus/{number}", **self._told(upload)})

    def _tus_append(self, upload: dict[str, Any]) -> None:
        assert len(self.body) <= 8 * 2**20
        algorithm, digest = self.headers["Upload-Checksum"].split(" ")
        assert algorithm == "sha256" and base64.b64decode(digest) == hashlib.sha256(self.body).digest()
        trouble = self.fake.broken.pop(0) if self.fake.broken else ""
        if trouble == "checksum":
            raise Problem(460, "checksum", "the bytes that arrived do not have their checksum")
        if int(self.headers["Upload-Offset"]) != len(upload["bytes"]):
            raise Problem(409, "conflict", "the upload is at another offset")
        if trouble == "drop":
            return self.break_off()
        upload["bytes"] += self.body[: len(self.body) // 2] if trouble == "half" else self.body
        if len(upload["bytes"]) == upload["length"]:
            upload["final"] = self.fake.put(upload["name"], upload["bytes"])
        if trouble in {"half", "lost"}:
            return self.break_off()
        return self.answer(204, b"", self._told(upload))

    def break_off(self) -> None:
        """Break the connection without an answer."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)
