"""The small programs in the images: the health check against the real servers, and what `slim` leaves."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.processes import Locator, Peer, Server
from docker import slim
from tests.deploy.machine import ROOT

_long = pytest.mark.long


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _check(server: Server, *words: str) -> int:
    """The health check's exit status, as the container of that server would see it."""
    command = [sys.executable, "-I", "-S", str(ROOT / "docker" / "health.py"), *words]
    return subprocess.run(command, env=os.environ | server.settings, capture_output=True).returncode


@_long
def test_a_locator_is_healthy_until_it_hangs_or_ends(tmp_path: Path) -> None:
    locator = Locator(tmp_path / "locator")
    assert _check(locator) == 1
    with _running(locator):
        assert _check(locator) == 0
        locator.freeze()
        assert _check(locator) == 1
        locator.thaw()
        assert _check(locator) == 0
    assert _check(locator) == 1


@_long
def test_a_locator_with_tls_is_healthy(tmp_path: Path) -> None:
    made = Locator(tmp_path).command("certs", str(tmp_path / "tls"), "--host", "locator.example.org")
    assert made.returncode == 0, made.stderr
    files = {"LOCATOR_TLS_CERT": f"{tmp_path}/tls/locator.example.org.pem"}
    files["LOCATOR_TLS_KEY"] = files["LOCATOR_TLS_CERT"].replace(".pem", ".key")
    with _running(Locator(tmp_path / "locator", **files)) as locator:
        assert _check(locator) == 0
        del locator.settings["LOCATOR_TLS_CERT"]
        assert _check(locator) == 1  # in plain text it answers nobody


@_long
def test_a_peer_is_alive_without_a_locator_but_not_ready(tmp_path: Path) -> None:
    with _running(Peer(tmp_path / "peer", "a", "127.0.0.1:1")) as peer:
        assert _check(peer) == 0
        assert _check(peer, "/readyz") == 1
        peer.freeze()
        assert _check(peer) == 1


def test_a_locator_that_does_not_serve_is_not_healthy(tmp_path: Path) -> None:
    """The answers as RFC 9113 and the protocol of gRPC write them: SETTINGS, then DATA with a status."""
    for status, expected in ((1, 0), (2, 1)):  # SERVING, NOT_SERVING
        with socket.create_server(("127.0.0.1", 0)) as listener:
            settings = {"LOCATOR_LISTEN": f"127.0.0.1:{listener.getsockname()[1]}"}
            answer = b"\0\0\0\4\0\0\0\0\0" + b"\0\0\7\0\0\0\0\0\1" + b"\0\0\0\0\2\x08" + bytes([status])
            with ThreadPoolExecutor(1) as beside:
                asked = beside.submit(_answer_once, listener, answer)
                assert _check(Server("central_server", tmp_path, settings)) == expected
                assert b"/grpc.health.v1.Health/Check" in asked.result()


def _answer_once(listener: socket.socket, answer: bytes) -> bytes:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(answer)
        return connection.recv(4096)


def _site(folder: Path) -> Path:
    """A tier that uses two libraries, one in a function and one by way of `protos`, among others."""
    for path, text in {
        "tier/__init__.py": "",
        "tier/start.py": "def f():\n    import inside\nfrom protos import used",
        "protos/used.py": "import far.deep",
        "protos/unused.py": "import other",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    _library(folder, "near", 'Requires-Dist: Deep_Need; python_version >= "3"\nRequires-Dist: extra-need; extra == "x"')
    _library(folder, "far", "Requires-Dist: near[x]")
    for name in ("inside", "deep-need", "extra-need", "other"):
        _library(folder, name, "")
    return folder


def _library(folder: Path, name: str, needs: str) -> None:
    facts = folder / f"{name}-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n{needs}\n")
    files = [f"{name}/__init__.py", f"{name}/tests/test_it.py"]
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("")
    (facts / "RECORD").write_text("".join(f"{file},,\n" for file in (*files, f"{facts.name}/METADATA")))


def test_an_image_keeps_what_its_tier_needs_and_nothing_else(tmp_path: Path) -> None:
    site = _site(tmp_path)
    for tier in slim.TIERS:
        (site / tier).mkdir()
    slim.slim(site, ["tier"])
    left = {path.name for path in site.iterdir() if not path.name.endswith("-info")}
    assert left == {"tier", "protos", "inside", "near", "far", "deep-need", "extra-need"}
    assert not list(site.rglob("tests"))


def test_the_settings_in_the_container_files_exist() -> None:
    from tests.test_docs import _code_settings, _settings_in

    written = _settings_in(*(f"docker/{name}" for name in ("Dockerfile", "compose.yml", "compose.tls.yml")))
    assert not {name for name in written if not {name, name.removesuffix("_FILE")} & _code_settings()}
