"""What a power loss would leave: the order in which a running peer and locator sync, name, record and tell.

A name may become durable at any moment after its rename; so the bytes must be synced before it. What others are told
must be durable before they are told. So of each file: synced, renamed (never over another), its folder synced, the row
of the index written and synced, announced.
"""

import secrets
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from demo.processes import wait_for
from tests.abuse import syscalls
from tests.abuse.syscalls import Trace, traced
from tests.end_to_end.conftest import Person, World

pytestmark = [
    pytest.mark.abuse,
    pytest.mark.timeout(300),
    pytest.mark.skipif(syscalls.MISSING, reason="strace is not installed"),
]

SYNC = {"fsync", "fdatasync", "syncfs"}
RENAME = {"renameat2", "renameat", "rename", "linkat"}
WRITE = {"pwrite64", "write", "writev"}
SEND = {"sendmsg", "sendto", "write", "writev"}
MIB = 1 << 20


def committed_in_order(trace: Trace, share: Path, name: str, locator: str) -> None:
    """The file of that name was committed in the order of the design."""
    renamed = trace.first(-1, RENAME, f'"{name}"')
    assert "RENAME_NOREPLACE" in renamed.text
    partial = renamed.text.split('"')[1]
    synced = [
        call for call in trace.calls() if call.name in SYNC and (f"/{partial}>" in call.text or call.name == "syncfs")
    ]
    assert any(call.ended < renamed.began for call in synced), "the bytes are not synced before they get their name"
    written = [call for call in trace.calls() if call.name in WRITE and call.has(f"/{partial}>")]
    assert all(call.ended < renamed.began for call in written), "something is written after the rename"
    folder = trace.first(renamed.ended, SYNC, f"<{share}>")
    row = trace.first(folder.ended, WRITE, "index.sqlite-wal", name)
    recorded = trace.first(row.ended, SYNC, "index.sqlite-wal")
    told = trace.first(-1, SEND, to(locator), name)
    assert recorded.ended < told.began, "others are told of what a power loss could take back"


def test_a_download(world: World, tmp_path: Path) -> None:
    source, peer = world.peer("source", start=False), world.peer("peer")
    (source.share / "fetched.bin").write_bytes(secrets.token_bytes(3 * MIB))
    source.start()
    world.found(peer, "fetched.bin", "source")
    with tracing(world, peer.name, tmp_path) as trace:
        Person(peer).download("fetched.bin")
        world.found(peer, "fetched.bin", "source", "peer")
        told(world, trace, "fetched.bin")
    committed_in_order(trace, peer.share, "fetched.bin", world.locator.address)


def test_a_folder_of_small_files(world: World, tmp_path: Path) -> None:
    source, peer = world.peer("source", start=False), world.peer("peer")
    names = [f"small-{number}.txt" for number in range(3)]
    (source.share / "docs").mkdir()
    for name in names:
        (source.share / "docs" / name).write_bytes(secrets.token_bytes(500))
    source.start()
    world.found(peer, f"docs/{names[-1]}", "source")
    with tracing(world, peer.name, tmp_path) as trace:
        Person(peer).download("docs/", more={"from": "source"})
        for name in names:
            world.found(peer, f"docs/{name}", "source", "peer")
            told(world, trace, name)
    for name in names:
        committed_in_order(trace, peer.share / "docs", name, world.locator.address)


def test_an_upload_by_tus(world: World, tmp_path: Path) -> None:
    peer = world.peer("peer")
    data = secrets.token_bytes(2 * MIB)
    token = (Path(peer.settings["PSERVER_STATE_DIR"]) / "client-token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}
    said = {"Upload-Length": str(len(data)), "Upload-Metadata": f"filename {b64encode(b'sent.bin').decode()}"}
    base = peer.addresses["client"]
    with tracing(world, peer.name, tmp_path) as trace:
        made = requests.post(f"{base}/client/v1/tus", headers=headers | said, timeout=20)
        sent = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        done = requests.patch(base + made.headers["Location"], data=data, headers=headers | sent, timeout=20)
        assert done.status_code == 204
        told(world, trace, "sent.bin")
    committed_in_order(trace, peer.share, "sent.bin", world.locator.address)
    renamed = trace.first(-1, RENAME, '"sent.bin"')
    folder = trace.first(renamed.ended, SYNC, f"<{peer.share}>")
    answered = trace.first(folder.began, SEND, "-Name: sent.bin")
    assert folder.ended < answered.began, "the client is told before the name is durable"


def test_an_account(empty_world: World, tmp_path: Path) -> None:
    world = empty_world
    world.locator.settings |= {"LOCATOR_ACCOUNTS": "on", "LOCATOR_SIGNUP": "open"}
    world.locator.start()
    peer = world.peer("peer")
    body = {"user": "anna", "password": "correct horse battery"}
    url = f"{peer.addresses['client']}/client/v1/signup"
    wait_for("there are accounts", lambda: requests.get(url.replace("signup", "status"), timeout=20).status_code == 401)
    with tracing(world, "locator", tmp_path) as trace:
        session = requests.post(url, json=body, timeout=20).json()["session"]
        wait_for("the trace has the answer", lambda: session in trace.path.read_text(errors="replace"))
    row = trace.first(-1, WRITE, "accounts.sqlite-wal", "anna")
    recorded = trace.first(row.ended, SYNC, "accounts.sqlite-wal")
    answered = trace.first(-1, SEND, session)
    assert recorded.ended < answered.began, "a person is told of an account that a power loss could take back"


def to(address: str) -> str:
    """How the trace shows a connection to that HOST:PORT, over IPv4 or IPv6."""
    return f":{address.rpartition(':')[2]}]>"


@contextmanager
def tracing(world: World, name: str, folder: Path) -> Iterator[Trace]:
    """The trace of the server of that name; skips the test where nobody may trace."""
    [server] = [each for each in world.servers if each.folder.name == name]
    try:
        with traced(server, folder / "trace") as trace:
            yield trace
    except PermissionError as error:
        pytest.skip(f"strace may not attach here: {error}")


def told(world: World, trace: Trace, name: str) -> None:
    """Wait until the locator was told of that file."""
    address = to(world.locator.address)

    def sent() -> bool:
        return any(call.name in SEND and call.has(address, name) for call in trace.calls())

    wait_for(f"the announce of {name} is in the trace", sent, 30)
