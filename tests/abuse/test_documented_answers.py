"""schemathesis on both APIs of a real peer: no 5xx beyond the documented refusals, nothing undocumented.

All its phases run, the stateful one included. With login it must get somewhere (each operation succeeds at least once);
without, nothing but the public routes may succeed.
"""

import json
import os
import secrets
import subprocess
import sys
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demo.processes import Peer, wait_for
from tests.abuse.fuzzing import FUZZ_SECONDS
from tests.end_to_end.conftest import Person, World

pytestmark = [pytest.mark.abuse, pytest.mark.timeout(900)]

SECONDS = 4 * FUZZ_SECONDS
ROOT = Path(__file__).parents[2]
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance,allow_header_conformance"
)
# 503 and 507 are refusals of the model (nobody is there, no room); each must be documented where it comes.
CONFIG = '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", "503", "507"]\n'
PUBLIC = {"/healthz", "/readyz", "/openapi.json", "/client/v1/login", "/client/v1/signup"}
# Operations that succeed only after others did: schemathesis may not get there in its time.
LATE = {
    "PATCH /client/v1/tus/{upload_id}",
    "POST /client/v1/transfers/{transfer_id}/pause",
    "POST /client/v1/transfers/{transfer_id}/resume",
    "POST /client/v1/uploads",
}
# Those that only accounts open; two of them end the session with which the others are asked.
OF_ACCOUNTS = {f"POST /client/v1/{what}" for what in ("login", "signup", "logout", "password", "drops")}
ENDING = ("--exclude-path", "/client/v1/logout", "--exclude-path", "/client/v1/password")
DOOMED = [f"doomed-{number}.txt" for number in range(30)]  # what may be removed: the others are still asked for
USER = {"user": "anna", "password": "correct horse battery"}


@dataclass(frozen=True)
class Lab:
    """Two peers with a file each, and the network's key."""

    one: Peer
    other: Peer
    network_key: str
    file_ids: list[str]


@pytest.fixture
def lab(empty_world: World) -> Lab:
    key = secrets.token_hex(32)
    empty_world.locator.settings["LOCATOR_NETWORK_KEY"] = key
    empty_world.locator.start()
    one, other = (empty_world.peer(name, start=False, PSERVER_NETWORK_KEY=key) for name in ("one", "other"))
    (one.share / "docs").mkdir()
    (one.share / "docs" / "note.txt").write_text("note" * 1000)
    for name in DOOMED:
        (one.share / name).write_text(name)
    (other.share / "big.bin").write_bytes(secrets.token_bytes(700_000))
    one.start()
    other.start()
    empty_world.found(one, "docs/note.txt", "one")
    empty_world.found(one, "big.bin", "other")
    person = Person(one)
    found = [person.ask("GET", "/lookup", params={"what": name}) for name in ("docs/note.txt", "big.bin")]
    return Lab(one, other, key, [each["groups"][0]["file_id"] for each in found])


def known(lab: Lab) -> dict[str, list[Any]]:
    """Values of parameters, headers and members of bodies that lead somewhere."""
    return {
        "file_id": lab.file_ids,
        "file_ids": [lab.file_ids, lab.file_ids[:1]],
        "sha256": ["ab" * 32],
        "size": [700_000],
        "name": ["docs/note.txt", "note.txt"],
        "doomed": DOOMED,
        "what": ["big.bin", "docs/", f"id:{lab.file_ids[1]}", "nothing"],
        "peer": ["one", "other"],
        "from": ["other"],
        "to": [["other"]],
        "replicas": [1, None],
        "form": ["meta4", "torrent"],
        "url": [lab.other.addresses["peer"]],
        "bitfield": ["gA=="],
        "kind": ["locate", "search", "peers", "files"],
        "query_id": ["ab" * 16],
        "hops": [0, 1],
        "deadline_ms": [1000],
        "queries": [[{"name": "big.bin"}], [{"file_id": lab.file_ids[0]}]],
        "words": ["big"],
        "folder": ["", "docs/"],
        "prefix": ["", "docs/"],
        "page_token": [""],
        "match": [""],
        "user": [USER["user"], "bob", "cho", "dan", "eve"],
        "password": [USER["password"]],
        "Tus-Resumable": ["1.0.0"],
        "Upload-Length": ["0", "5", "4096"],
        "Upload-Offset": ["0", "5"],
        "Upload-Metadata": ["filename " + b64encode(b"sent/by tus.txt").decode()],
        "Upload-Checksum": ["sha256 AAAA"],
    }


def run(lab: Lab, url: str, access: dict[str, Any], folder: Path, seconds: int, *more: str) -> dict[str, int]:
    """Let schemathesis at that API; returns how often each "METHOD path status" was seen."""
    config, seen = folder / "schemathesis.toml", folder / "seen.json"
    config.write_text(CONFIG)
    said = {"seed": 1, "known": known(lab), "seen": str(seen), **access}
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run",
        f"{url}/openapi.json", "--checks", CHECKS, "--phases", "examples,coverage,fuzzing,stateful",
        "--max-time", str(seconds), "--continue-on-failure", "--generation-database", "none", "--seed", "7",
        "--no-color", "--request-timeout", "30", "--request-retries", "2",
        "--suppress-health-check", "all", *more,  # how hard it was to make up requests is no fault of ours
    ]  # fmt: skip
    hooks = {"SCHEMATHESIS_HOOKS": "tests.abuse.schemathesis_hooks", "FUZZ_ACCESS": json.dumps(said)}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **hooks, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=seconds + 300,
        check=False,
    )
    assert done.returncode == 0, "\n".join(line[:400] for line in (done.stdout + done.stderr).splitlines())
    found: dict[str, int] = json.loads(seen.read_text())
    return found


def member(lab: Lab, folder: Path) -> dict[str, Any]:
    """What a member of the network has."""
    key = folder / "member.pem"
    private = Ed25519PrivateKey.generate()
    pem, pkcs8, bare = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key.write_bytes(private.private_bytes(pem, pkcs8, bare))
    audience = Person(lab.one).ask("GET", "/status")["peer"]["peer_id"]
    return {"key": str(key), "network_key": lab.network_key, "audience": audience}


def person(lab: Lab) -> dict[str, Any]:
    """What the peer's own person has."""
    return {"token": (Path(lab.one.settings["PSERVER_STATE_DIR"]) / "client-token").read_text().strip()}


def never_succeeded(seen: dict[str, int], operations: set[str]) -> set[str]:
    """Those of the operations of which no answer was a success."""
    worked = {" ".join(line.split(" ")[:2]) for line in seen if line.split(" ")[2] < "300"}
    return operations - worked


def operations_of(spec: dict[str, Any]) -> set[str]:
    return {f"{method.upper()} {path}" for path, operations in spec["paths"].items() for method in operations}


def document(url: str) -> dict[str, Any]:
    """The OpenAPI as it is served."""

    answer = requests.get(f"{url}/openapi.json", timeout=10)
    spec: dict[str, Any] = answer.json()
    return spec


def test_a_member_gets_documented_answers(lab: Lab, tmp_path: Path) -> None:
    url = lab.one.addresses["peer"]
    seen = run(lab, url, member(lab, tmp_path), tmp_path, SECONDS)
    assert never_succeeded(seen, operations_of(document(url)) - LATE) == set()


def test_the_own_person_gets_documented_answers(lab: Lab, tmp_path: Path) -> None:
    url = lab.one.addresses["client"]
    seen = run(lab, url, person(lab), tmp_path, SECONDS)
    assert never_succeeded(seen, operations_of(document(url)) - LATE - OF_ACCOUNTS) == set()


def test_a_person_with_an_account_gets_documented_answers(lab: Lab, empty_world: World, tmp_path: Path) -> None:
    empty_world.locator.stop()
    empty_world.locator.settings |= {"LOCATOR_ACCOUNTS": "on", "LOCATOR_SIGNUP": "open"}
    empty_world.locator.start()
    url = lab.one.addresses["client"]

    def session() -> str | None:
        found: str | None = requests.post(f"{url}/client/v1/signup", json=USER, timeout=20).json().get("session")
        return found

    token = wait_for("anna can sign up", session)
    seen = run(lab, url, {"token": token}, tmp_path, SECONDS, *ENDING)
    assert never_succeeded(seen, {"GET /client/v1/files", "GET /client/v1/status"}) == set()


@pytest.mark.parametrize("api", ["peer", "client"])
def test_a_stranger_gets_documented_answers_and_nothing_else(lab: Lab, tmp_path: Path, api: str) -> None:
    seen = run(lab, lab.one.addresses[api], {}, tmp_path, SECONDS // 2)
    worked = {line.split(" ")[1] for line in seen if line.split(" ")[2] < "300"}
    assert worked <= PUBLIC
    wait_for("the peer still answers", lambda: document(lab.one.addresses[api]), 5)


def test_what_is_refused_before_routing_is_documented(lab: Lab) -> None:
    url = lab.one.addresses["peer"]
    answer = requests.post(f"{url}/peer/v1/bundles", data=b"x" * (1 << 20), timeout=10)
    said = document(url)["paths"]["/peer/v1/bundles"]["post"]["responses"]
    assert answer.status_code == 413
    assert answer.headers["Content-Type"].partition(";")[0] in said["413"]["content"]
