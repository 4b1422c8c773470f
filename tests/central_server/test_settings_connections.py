"""Settings of TLS and of what a connection may do."""

from pathlib import Path

import pytest

from central_server.connections import ConnectionLimits, TlsFiles
from central_server.settings import WrongSetting, read_settings

HOME = {"HOME": "/home/ann"}


def test_without_any_there_is_no_tls_and_the_usual_limits() -> None:
    settings = read_settings(HOME)
    assert settings.tls is None and settings.ca_file is None and settings.limits == ConnectionLimits()


def test_tls_needs_certificate_and_key_that_can_be_read(tmp_path: Path) -> None:
    for name in ("cert", "key", "ca"):
        (tmp_path / name).touch()
    named = {"LOCATOR_TLS_CERT": str(tmp_path / "cert"), "LOCATOR_TLS_KEY": str(tmp_path / "key")}
    assert read_settings(HOME | named).tls == TlsFiles(tmp_path / "cert", tmp_path / "key")
    client = {"LOCATOR_TLS_CLIENT_CA": str(tmp_path / "ca")}
    assert read_settings(HOME | named | client).tls == TlsFiles(tmp_path / "cert", tmp_path / "key", tmp_path / "ca")
    for lacking in (client, {"LOCATOR_TLS_CERT": named["LOCATOR_TLS_CERT"]}, {"LOCATOR_TLS_KEY": str(tmp_path / "no")}):
        with pytest.raises(WrongSetting, match="LOCATOR_TLS"):
            read_settings(HOME | lacking)


def test_a_tls_key_that_every_user_can_read_is_told(tmp_path: Path) -> None:
    for name in ("cert", "key"):
        (tmp_path / name).touch(0o644)
    named = {"LOCATOR_TLS_CERT": str(tmp_path / "cert"), "LOCATOR_TLS_KEY": str(tmp_path / "key")}
    (tmp_path / "key").chmod(0o644)
    assert any("LOCATOR_TLS_KEY" in line for line in read_settings(HOME | named).warnings)
    (tmp_path / "key").chmod(0o600)
    assert not any("LOCATOR_TLS_KEY" in line for line in read_settings(HOME | named).warnings)


def test_each_limit_is_read_and_given_to_grpc() -> None:
    asked = {
        "LOCATOR_MAX_MESSAGE": "1M",
        "LOCATOR_MAX_METADATA": "8192",
        "LOCATOR_MAX_STREAMS": "7",
        "LOCATOR_MAX_CALLS": "12",
        "LOCATOR_MAX_CONNECTIONS": "9",
        "LOCATOR_MAX_UNASKED": "3M",
        "LOCATOR_MIN_PING_SECONDS": "1.5",
        "LOCATOR_PING_STRIKES": "4",
        "LOCATOR_CONNECTION_IDLE_SECONDS": "11",
        "LOCATOR_CONNECTION_AGE_SECONDS": "22",
        "LOCATOR_CONNECTION_GRACE_SECONDS": "33",
    }
    limits = read_settings(HOME | asked).limits
    assert limits == ConnectionLimits(1 << 20, 8192, 7, 12, 9, 3 << 20, 1.5, 4, 11, 22, 33)
    options = dict(limits.options())
    assert options["grpc.max_receive_message_length"] == 1 << 20
    assert options["grpc.absolute_max_metadata_size"] == options["grpc.max_metadata_size"] == 8192
    assert options["grpc.max_concurrent_streams"] == 7
    assert options["grpc.max_allowed_incoming_connections"] == 9
    assert options["grpc.http2.min_ping_interval_without_data_ms"] == 1500
    assert options["grpc.http2.max_ping_strikes"] == 4
    assert [options[f"grpc.max_connection_{what}_ms"] for what in ("idle", "age", "age_grace")] == [
        11_000,
        22_000,
        33_000,
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOCATOR_MAX_MESSAGE", "1K"),
        ("LOCATOR_MAX_MESSAGE", "4 M"),
        ("LOCATOR_MAX_METADATA", "2M"),
        ("LOCATOR_MAX_STREAMS", "0"),
        ("LOCATOR_MAX_UNASKED", "1M"),  # less than a message
        ("LOCATOR_PING_STRIKES", "-1"),
        ("LOCATOR_CONNECTION_AGE_SECONDS", "0"),
        ("LOCATOR_CA_FILE", "/no/such/file"),
    ],
)
def test_a_wrong_one_is_named(name: str, value: str) -> None:
    with pytest.raises(WrongSetting, match=name):
        read_settings(HOME | {name: value})
