"""TLS of the gRPC server: who gets in, and certificates that change while it runs."""

import asyncio
import logging
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from central_server.certificates import Wanted, make_certificates
from central_server.connections import ConnectionLimits, TlsFiles
from central_server.tls import Renewing, UnusableTls, server_credentials

NOW = datetime.now(UTC)
HOST = "127.0.0.1"


def made(folder: Path, wanted: Wanted, now: datetime = NOW) -> TlsFiles:
    make_certificates(folder, wanted, now)
    return TlsFiles(folder / f"{HOST}.pem", folder / f"{HOST}.key")


def channel_credentials(ca: Path, client: Path | None = None) -> grpc.ChannelCredentials:
    key, chain = (client.with_suffix(".key").read_bytes(), client.read_bytes()) if client else (None, None)
    return grpc.ssl_channel_credentials(ca.read_bytes(), key, chain)


async def status(port: int, ca: Path | None, client: Path | None = None) -> grpc.StatusCode:
    """UNIMPLEMENTED if the call got through, UNAVAILABLE if there is no connection."""
    where = f"{HOST}:{port}"
    channel = (
        grpc.aio.insecure_channel(where)
        if ca is None
        else grpc.aio.secure_channel(where, channel_credentials(ca, client))
    )
    async with channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.unary_unary("/no/such", bytes, bytes)(b"", timeout=10)
    return raised.value.code()


def serving(files: TlsFiles, play: Callable[[int], Any], now: datetime = NOW) -> None:
    """A server with these files, and `play` (of its port) while it runs."""

    async def run() -> None:
        server = grpc.aio.server(options=ConnectionLimits().options())
        port = server.add_secure_port(f"{HOST}:0", server_credentials(files, lambda: now))
        await server.start()
        try:
            await play(port)
        finally:
            await server.stop(None)

    asyncio.run(run())


def test_only_its_ca_is_trusted_and_only_tls_is_spoken(tmp_path: Path) -> None:
    files, other = made(tmp_path / "a", Wanted([HOST])), made(tmp_path / "b", Wanted([HOST]))

    async def play(port: int) -> None:
        assert await status(port, tmp_path / "a" / "ca.pem") is grpc.StatusCode.UNIMPLEMENTED
        assert await status(port, tmp_path / "b" / "ca.pem") is grpc.StatusCode.UNAVAILABLE
        assert await status(port, None) is grpc.StatusCode.UNAVAILABLE

    assert other.certificate.exists()
    serving(files, play)


def test_with_a_client_ca_a_client_needs_a_certificate_of_it_for_clients(tmp_path: Path) -> None:
    files = made(tmp_path / "a", Wanted([HOST], ["ann"]))
    made(tmp_path / "b", Wanted([HOST], ["ann"]))
    ca = tmp_path / "a" / "ca.pem"
    make_certificates(tmp_path / "a", Wanted(clients=["old"], days=1), NOW - timedelta(days=2))

    async def play(port: int) -> None:
        assert await status(port, ca, tmp_path / "a" / "ann.pem") is grpc.StatusCode.UNIMPLEMENTED
        for refused in (None, tmp_path / "b" / "ann.pem", tmp_path / "a" / "old.pem", files.certificate):
            assert await status(port, ca, refused) is grpc.StatusCode.UNAVAILABLE, refused

    serving(TlsFiles(files.certificate, files.key, ca), play)


def test_an_expired_server_is_not_believed(tmp_path: Path) -> None:
    long_ago = NOW - timedelta(days=2)
    files = made(tmp_path, Wanted([HOST], days=1), long_ago)

    async def play(port: int) -> None:
        assert await status(port, tmp_path / "ca.pem") is grpc.StatusCode.UNAVAILABLE

    serving(files, play, long_ago)


@pytest.mark.logs_errors
def test_a_renewed_certificate_counts_from_the_next_connection_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = made(tmp_path / "a", Wanted([HOST]))
    other = made(tmp_path / "b", Wanted([HOST]))
    old, new = tmp_path / "a" / "ca.pem", tmp_path / "b" / "ca.pem"

    async def play(port: int) -> None:
        assert await status(port, new) is grpc.StatusCode.UNAVAILABLE
        shutil.copy(other.certificate, files.certificate)
        assert await status(port, old) is grpc.StatusCode.UNIMPLEMENTED  # half of a renewal: the old pair goes on
        assert "not the key" in caplog.text
        shutil.copy(other.key, files.key)
        assert await status(port, new) is grpc.StatusCode.UNIMPLEMENTED
        assert await status(port, old) is grpc.StatusCode.UNAVAILABLE

    serving(files, play)


@pytest.mark.logs_errors
def test_files_are_read_only_when_they_changed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = made(tmp_path, Wanted([HOST]))
    renewing = Renewing(files, lambda: NOW)
    assert renewing.changed() is None
    make_certificates(tmp_path / "new", Wanted([HOST]), NOW)
    for path in (files.key, files.certificate):
        shutil.copy(tmp_path / "new" / path.name, path)
    assert renewing.changed() is not None
    assert renewing.changed() is None
    files.certificate.unlink()
    assert renewing.changed() is None and caplog.records[-1].levelno == logging.ERROR


def test_what_cannot_be_used_stops_the_start_with_its_name(tmp_path: Path) -> None:
    files = made(tmp_path, Wanted([HOST]))
    (tmp_path / "empty").touch()
    cases = {
        "empty holds no certificate": TlsFiles(tmp_path / "empty", files.key),
        "is no unencrypted private key": TlsFiles(files.certificate, tmp_path / "empty"),
        "not the key": TlsFiles(files.certificate, tmp_path / "ca.key"),
        "empty holds no": TlsFiles(files.certificate, files.key, tmp_path / "empty"),
        "No such file": TlsFiles(tmp_path / "missing", files.key),
    }
    for words, wrong in cases.items():
        with pytest.raises(UnusableTls, match=words):
            server_credentials(wrong, lambda: NOW)
    with pytest.raises(UnusableTls, match="expired"):
        server_credentials(files, lambda: NOW + timedelta(days=366))
