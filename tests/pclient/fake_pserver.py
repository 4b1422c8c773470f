"""A fake PServer: the client API of docs/REST.md over real HTTP, with state in memory and no network.

Transfers move only when they are told to: by `step`, or by a step at each look (`step_at_look`), so that nothing
depends on time.
"""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.pclient.fake_people import FakePeople

TOKEN = "fake-token"
CREATED = "2026-01-02T03:04:05Z"


class Problem(Exception):
    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.more = status, code, detail, more


def hex_id(seed: str | bytes) -> str:
    return hashlib.blake2b(seed if isinstance(seed, bytes) else seed.encode(), digest_size=32).hexdigest()


def peer(name: str) -> dict[str, str]:
    return {"peer_id": hex_id(name), "name": name, "url": f"http://{hex_id(name)[:4]}.example:8001"}


@dataclass
class Remote:
    """A file that other peers have: its bytes, and (peer's name, file's name there)."""

    content: bytes
    held: list[tuple[str, str]]

    @property
    def file_id(self) -> str:
        return hex_id(self.content)

    def group(self) -> dict[str, Any]:
        holders = [
            {"peer": peer(who), "name": name, "sha256_checked": True, "partial": False} for who, name in self.held
        ]
        names = list(dict.fromkeys(name for _, name in self.held))
        digest = hashlib.sha256(self.content).hexdigest()
        return {
            "file_id": self.file_id,
            "size": len(self.content),
            "sha256": digest,
            "names": names,
            "holders": holders,
            "holder_count": len(holders),
        }


@dataclass
class FakePServer:
    """What the tests set and look at. `token`: the one accepted, while there are no accounts (`people` is None).

    `requests`: (method, path) of all that came.
    """

    name: str = "alice"
    token: str = TOKEN
    share: dict[str, bytes] = field(default_factory=dict)
    remotes: list[Remote] = field(default_factory=list)
    transfers: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    hashing: dict[str, int] = field(default_factory=dict)  # name -> how many looks it still takes
    broken: list[str] = field(default_factory=list)  # what to do to the next PATCHes: "drop", "half", "checksum", ""
    step_at_look: float | None = 1.0  # the share of a transfer done at each look
    complete: bool = True
    reachable: bool = True
    locators: list[dict[str, Any]] = field(
        default_factory=lambda: [{"address": "127.0.0.1:51015", "state": "registered", "why": None}]
    )
    findings: list[tuple[str, str, str, str]] = field(
        default_factory=lambda: [("share", "ok", "/share", ""), ("watch", "warn", "too few", "raise the limit")]
    )  # what it is to say of itself: what, state, detail, advice
    corrupt_content: bool = False
    items_paged: bool = True
    copies: bool = True  # a file that is in the share already under another name than was asked with "as"
    page: int = 50
    answer_all: Callable[[Any], bool] | None = None  # given the handler: answers instead, or says False
    requests: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    skipped: str = "evil\x1b[31m"  # the name of the one file that is not shared
    downloads: list[dict[str, Any]] = field(default_factory=list)  # the bodies of the requests to download
    making: int = 0  # how many times a document is still being made
    links: list[dict[str, Any]] = field(default_factory=list)  # the bodies of the requests for links
    people: "FakePeople | None" = None
    looked: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def entry(self, name: str) -> dict[str, Any]:
        content = self.share[name]
        digest = hashlib.sha256(content).hexdigest()
        return {
            "name": name,
            "file_id": hex_id(content),
            "size": len(content),
            "sha256": digest,
            "sha256_checked": True,
            "partial": False,
        }

    def put(self, name: str, content: bytes) -> str:
        """Into the share, never over another file."""
        stem, dot, suffix = name.rpartition(".")
        final, number = name, 1
        while final in self.share:
            number += 1
            final = f"{stem} ({number}).{suffix}" if dot else f"{name} ({number})"
        self.share[final] = content
        return final

    def held_as(self, name: str, content: bytes, asked_as: str | None, in_folder: bool) -> str | None:
        """The name under which the share has what a download would fetch: another only outside of a folder."""
        if self.share.get(name) == content:
            return name
        other = next((one for one, held in self.share.items() if held == content), None)
        if in_folder or other is None:
            return None
        return self.put(name, content) if asked_as and self.copies else other

    def find(self, what: str) -> list[Remote]:
        if what.startswith("id:"):
            return [one for one in self.remotes if f"id:{one.file_id}" == what]
        if what.startswith("sha256:"):
            return [one for one in self.remotes if f"sha256:{hashlib.sha256(one.content).hexdigest()}" == what]
        return [one for one in self.remotes if any(name == what for _, name in one.held)]

    def begin(self, kind: str, label: str, parts: list[tuple[str, Remote]], sources: list[str]) -> dict[str, Any]:
        number = f"{len(self.transfers) + 1:08x}"
        total = sum(len(remote.content) for _, remote in parts)
        moment = {"rate": 0.0, "pieces": 0, "bytes": 0, "errors": 0, "why": None, "state": "ok"}
        transfer = {
            "id": number,
            "kind": kind,
            "label": label,
            "state": "running",
            "bytes_total": total,
            "bytes_done": 0,
            "files_total": len(parts),
            "files_done": 0,
            "rate": 1048576.0,
            "eta_seconds": 60,
            "sources": [{"peer": peer(one), **moment} for one in sources] if kind == "download" else [],
            "standstill": None,
            "bottleneck": None,
            "error": None,
            "created": CREATED,
            "ended": None,
            "targets": [{"peer": peer(one), "state": "running", "bytes_done": 0, "error": None} for one in sources]
            if kind == "upload"
            else [],
            "items": [
                {
                    "name": name,
                    "final_name": None,
                    "file_id": remote.file_id,
                    "size": len(remote.content),
                    "state": "running",
                    "bytes_done": 0,
                    "error": None,
                }
                for name, remote in parts
            ],
        }
        self.transfers[number] = transfer
        return transfer

    def step(self, number: str, share: float = 1.0) -> None:
        """Let a running transfer get on by a share (0 to 1) of its bytes; at its end the files are in the share."""
        with self.lock:
            transfer = self.transfers[number]
            if transfer["state"] != "running":
                return
            done = transfer["bytes_done"] + max(1, int(transfer["bytes_total"] * share))
            transfer["bytes_done"] = min(done, transfer["bytes_total"])
            if transfer["bytes_done"] == transfer["bytes_total"]:
                self._finish(transfer)

    def fail(self, number: str, detail: str) -> None:
        with self.lock:
            self.transfers[number].update(
                state="failed", error={"code": "unavailable", "detail": detail}, ended=CREATED, eta_seconds=None
            )

    def _finish(self, transfer: dict[str, Any]) -> None:
        by_id = {remote.file_id: remote for remote in self.remotes}
        for item in transfer["items"]:
            item.update(state="done", bytes_done=item["size"], final_name=item["name"])
            if transfer["kind"] == "download":
                item["final_name"] = self.put(item["name"], by_id[item["file_id"]].content)
        for target in transfer["targets"]:
            target.update(state="done", bytes_done=transfer["bytes_total"])
        transfer.update(state="done", ended=CREATED, rate=0.0, eta_seconds=None, files_done=transfer["files_total"])


def samples() -> list[Remote]:
    return [
        Remote(b"report" * 70000, [("bob", "docs/report.pdf"), ("carol", "report 2025.pdf")]),
        Remote(b"a" * 5_000_000, [("bob", "music/日本の歌 🎵.mp3")]),
        Remote(b"evil", [("bob", "evil\x1b[31m\n\u202ereport.exe")]),
        Remote(b"one", [("bob", "same.txt")]),
        Remote(b"two!", [("carol", "same.txt"), ("dave", "same.txt")]),
        Remote(b"three", [("bob", "2")]),
        Remote(b"n" * 3000, [("bob", "docs/a long name of a report that will have to be wrapped on terminals.txt")]),
    ]
