"""The fake PServer's HTTP. By hand: python -m tests.pclient.fake_http FOLDER (a token is written there)."""

import json
import sys
import threading
import time
import unicodedata
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.pclient.fake_people import PeopleHandler
from tests.pclient.fake_pserver import CREATED, TOKEN, FakePServer, Problem, Remote, peer, samples


class _Handler(PeopleHandler):
    def route(self, path: str) -> None:
        if path == "/healthz":
            return self.json({"status": "ok"})
        for prefix, handler in (
            ("/client/v1/status", self._status),
            ("/client/v1/doctor", self._doctor),
            ("/client/v1/search", self._search),
            ("/client/v1/lookup", self._lookup),
            ("/client/v1/peers", self._peers),
            ("/client/v1/files", self._files),
            ("/client/v1/content", self._content),
            ("/client/v1/downloads", self._downloads),
            ("/client/v1/uploads", self._uploads),
            ("/client/v1/links", self._links),
            ("/client/v1/transfers", self._transfers),
            ("/client/v1/tus", self.tus),
            ("/client/v1/signup", self.signup),
            ("/client/v1/login", self.login),
            ("/client/v1/logout", self.logout),
            ("/client/v1/whoami", self.whoami),
            ("/client/v1/password", self.password),
            ("/client/v1/drops", self.drops),
        ):
            if path == prefix or path.startswith(prefix + "/"):
                return handler(path[len(prefix) + 1 :])
        raise Problem(404, "not-found", "there is nothing at this address")

    def _doctor(self, _rest: str) -> None:
        checks = [dict(zip(("what", "state", "detail", "advice"), one, strict=True)) for one in self.fake.findings]
        self.json({"healthy": all(one["state"] != "fail" for one in checks), "checks": checks})

    def _status(self, _rest: str) -> None:
        fake = self.fake
        counts = dict.fromkeys(("running", "queued", "paused", "failed"), 0)
        for transfer in fake.transfers.values():
            if transfer["state"] in counts:
                counts[transfer["state"]] += 1
        self.json(
            {
                "peer": peer(fake.name),
                "version": "0.1.0",
                "uptime_seconds": 3725.0,
                "reachable": {"ok": fake.reachable, "why": ""},
                "share": {
                    "path": "/home/alice/Share",
                    "files": len(fake.share),
                    "bytes": sum(map(len, fake.share.values())),
                    "free_bytes": 10 * 2**30,
                    "scanning": False,
                    "hashing": len(fake.hashing),
                    "error": None,
                    "skipped": [{"name": fake.skipped, "why": "it is a link"}],
                    "skipped_count": 3,
                },
                "locators": fake.locators,
                "neighbours": [{"peer": peer("bob"), "state": "ok"}],
                "transfers": counts,
                "accepts_uploads": True,
            }
        )

    def _search(self, _rest: str) -> None:
        words = [_plain(word) for word in self.query.get("words", "").split()]
        if not words:
            raise Problem(422, "invalid", "words: say at least one")
        if int(self.query["page_size"]) > 100:
            raise Problem(422, "invalid", "page_size: at most 100")
        groups = [one.group() for one in self.fake.remotes]
        found = [
            group for group in groups if any(all(word in _plain(name) for word in words) for name in group["names"])
        ]
        self._page("groups", found, via=["bob", "locator"], complete=self.fake.complete)

    def _page(self, key: str, found: list[Any], **more: Any) -> None:
        start = int(self.query.get("page_token") or 0)
        size = min(int(self.query.get("page_size") or self.fake.page), self.fake.page)
        token = str(start + size) if start + size < len(found) else ""
        self.json({key: found[start : start + size], "next_page_token": token, **more})

    def _lookup(self, _rest: str) -> None:
        found = self.fake.find(self.query["what"])
        if not found:
            raise Problem(404, "not-found", f"no peer that could be asked has {self.query['what']}")
        self.json({"groups": [one.group() for one in found], "via": ["bob"], "complete": self.fake.complete})

    def _known_peers(self) -> list[str]:
        return list(dict.fromkeys(["bob", "carol", *(who for one in self.fake.remotes for who, _ in one.held)]))

    def _info(self, name: str) -> dict[str, Any]:
        held = [one for one in self.fake.remotes if any(who == name for who, _ in one.held)]
        return {
            "peer": peer(name),
            "files": len(held),
            "bytes": sum(len(one.content) for one in held),
            "free_bytes": 2**30,
            "accepts_uploads": True,
            "version": "0.1.0",
            "heartbeat_age": 1.5,
        }

    def _peers(self, rest: str) -> None:
        if rest:
            return self._peer_files(rest.removesuffix("/files"))
        match = self.query.get("match", "")
        found = [self._info(name) for name in self._known_peers() if match in name]
        return self._page("peers", found, via=["bob"], complete=self.fake.complete)

    def _check_peer(self, name: str | None) -> None:
        if name == "twin":
            twins = [peer("twin"), {**peer("twin2"), "name": "twin"}]
            raise Problem(409, "ambiguous", "2 peers are called twin", choices=twins)

    def _peer_files(self, name: str) -> None:
        self._check_peer(name)
        by_id = {peer(one)["peer_id"]: one for one in self._known_peers()}
        name = by_id.get(name, name)
        if name not in by_id.values():
            raise Problem(404, "not-found", f"there is no peer {name}")
        prefix = self.query.get("prefix", "")
        found = []
        for remote in self.fake.remotes:
            group = remote.group()
            entry = {key: group[key] for key in ("file_id", "size", "sha256")}
            found += [
                {"name": at, **entry, "sha256_checked": True, "partial": False}
                for who, at in remote.held
                if who == name and at.startswith(prefix)
            ]
        self._page("files", found, via=["bob"], complete=True)

    def _files(self, name: str) -> None:
        fake = self.fake
        if not name:
            prefix = self.query.get("prefix", "")
            found = [fake.entry(one) for one in sorted(fake.share) if one.startswith(prefix)]
            return self._page("files", found)
        if name not in fake.share:
            raise Problem(404, "not-found", f"there is no {name} in the share")
        if self.command == "DELETE" and "everywhere" in self.query:
            return self.remove_everywhere(name)
        if self.command == "DELETE":
            del fake.share[name]
            return self.answer(204)
        if fake.hashing.get(name, 0) > 0:
            fake.hashing[name] -= 1
            raise Problem(409, "hashing", f"{name} is being indexed")
        return self.json(fake.entry(name))

    def _content(self, name: str) -> None:
        if name not in self.fake.share:
            raise Problem(404, "not-found", f"there is no {name} in the share")
        content = self.fake.share[name]
        self.answer(200, content[:-1] + b"!" if self.fake.corrupt_content else content)

    def _downloads(self, _rest: str) -> None:
        asked = json.loads(self.body)
        what, fake = asked["what"], self.fake
        fake.downloads.append(asked)
        self._check_peer(asked["from"])
        if what.endswith("/"):
            return self._folder(asked)
        found = fake.find(what)
        if not found:
            raise Problem(404, "not-found", f"no peer that could be asked has {what}")
        if len(found) > 1 and asked["choose"] is None:
            choices = [one.group() for one in found]
            raise Problem(409, "ambiguous", f"{len(found)} different files are called {what}", choices=choices)
        chosen = max(found, key=lambda one: len(one.held))
        name = asked["as"] or (what if not what.startswith(("id:", "sha256:")) else chosen.held[0][1])
        return self._begun(name, [(name, chosen)], [who for who, _ in chosen.held])

    def _folder(self, asked: dict[str, Any]) -> None:
        what, fake = asked["what"], self.fake
        having = [
            who
            for who in self._known_peers()
            if any(holder == who and name.startswith(what) for one in fake.remotes for holder, name in one.held)
        ]
        if not having:
            raise Problem(404, "not-found", f"no peer has a folder {what}")
        source = next((who for who in having if asked["from"] in {who, peer(who)["peer_id"]}), None)
        if source is None and len(having) > 1 and asked["choose"] is None:
            infos = [self._info(who) for who in having]
            raise Problem(409, "ambiguous", f"{len(having)} peers have a folder {what}", choices=infos)
        source = source or having[0]
        parts = [(name, one) for one in fake.remotes for who, name in one.held if who == source]
        self._begun(what, [part for part in parts if part[0].startswith(what)], [source])

    def _begun(self, label: str, parts: list[tuple[str, Remote]], sources: list[str]) -> None:
        fake = self.fake
        asked = fake.downloads[-1]
        here = {name: fake.held_as(name, one.content, asked["as"], asked["what"].endswith("/")) for name, one in parts}
        transfer = fake.begin("download", label, parts, sources)
        if None not in here.values():
            transfer.update(state="done", bytes_done=transfer["bytes_total"], ended=CREATED, eta_seconds=None)
            for item in transfer["items"]:
                item.update(state="done", final_name=here[item["name"]])
        self.json({**transfer, "items": transfer["items"][:100]}, 200 if transfer["state"] == "done" else 202)

    def _uploads(self, _rest: str) -> None:
        asked, fake = json.loads(self.body), self.fake
        if asked["name"] not in fake.share:
            raise Problem(404, "not-found", f"there is no {asked['name']} in the share")
        self._check_peer("twin" if "twin" in asked["to"] else None)
        targets = [name for name in self._known_peers() if {name, peer(name)["peer_id"]} & set(asked["to"])]
        if not asked["to"]:
            targets = self._known_peers()[: asked["replicas"]]
        targets = targets or [one for one in ("twin", "twin2") if peer(one)["peer_id"] in asked["to"]]
        if not targets:
            raise Problem(404, "not-found", "there is no such peer")
        own = Remote(fake.share[asked["name"]], [(fake.name, asked["name"])])
        self.json(fake.begin("upload", asked["name"], [(asked["name"], own)], targets), 202)

    def _links(self, rest: str) -> None:
        fake = self.fake
        if rest:
            return self._document(*rest.split("/"))
        asked = json.loads(self.body)
        fake.links.append(asked)
        found = fake.find(asked["what"])
        if not found:
            raise Problem(404, "not-found", f"no peer that could be asked has {asked['what']}")
        if len(found) > 1 and asked["choose"] is None:
            choices = [one.group() for one in found]
            raise Problem(409, "ambiguous", f"{len(found)} different files are called {asked['what']}", choices=choices)
        chosen = max(found, key=lambda one: len(one.held))
        bases = [f"{peer(who)['url']}/peer/v1/links/token" for who, _ in chosen.held]
        return self.json(
            {
                "name": chosen.held[0][1],
                "file_id": chosen.file_id,
                "size": len(chosen.content),
                "url": f"{bases[0]}/file/x",
                "urls": [f"{base}/file/x" for base in bases],
                "meta4_url": f"{bases[0]}/meta4/x.meta4",
                "torrent_url": f"{bases[0]}/torrent/x.torrent",
                "expires": CREATED,
            }
        )

    def _document(self, file_id: str, form: str) -> None:
        if self.fake.making > 0:
            self.fake.making -= 1
            body = json.dumps({"bytes_done": 0, "size": 1}).encode()
            return self.answer(202, body, {"Content-Type": "application/json", "Retry-After": "3"})
        return self.answer(200, f"{form} of {file_id} for {self.query['expires_seconds']}".encode())

    def _transfers(self, rest: str) -> None:
        fake = self.fake
        if not rest:
            lines = [{key: value for key, value in one.items() if key != "items"} for one in fake.transfers.values()]
            return self.json({"transfers": lines[::-1]})
        number, _, action = rest.partition("/")
        if number not in fake.transfers:
            raise Problem(404, "not-found", f"there is no transfer {number}")
        transfer = fake.transfers[number]
        if self.command == "DELETE":
            if transfer["state"] in {"done", "failed", "cancelled"}:
                del fake.transfers[number]
            else:
                transfer.update(state="cancelled", ended=CREATED)
            return self.answer(204)
        if action:
            wanted = {"pause": "running", "resume": "paused"}[action]
            if transfer["state"] != wanted:
                raise Problem(409, "conflict", f"it is {transfer['state']}: it cannot {action}")
            transfer["state"] = {"pause": "paused", "resume": "running"}[action]
        elif fake.step_at_look is not None:
            fake.step(number, fake.step_at_look)
        start = int(self.query.get("items_from", 0)) if fake.items_paged else 0
        return self.json({**transfer, "items": transfer["items"][start : start + 100]})


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(c))


class Running:
    """The fake on a port of its own."""

    def __init__(self, fake: FakePServer) -> None:
        handler = type("Handler", (_Handler,), {"fake": fake})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def main() -> None:
    folder = Path(sys.argv[1])
    fake = FakePServer(remotes=samples(), step_at_look=0.02, share={"own.txt": b"own"})
    running = Running(fake)
    (folder / "client-token").write_text(TOKEN)
    print(f"export PCLIENT_PSERVER_URL={running.url} PCLIENT_TOKEN_FILE={folder}/client-token", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
