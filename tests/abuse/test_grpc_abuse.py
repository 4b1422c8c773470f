"""The locator's gRPC port under fire: others are answered, its memory stays, and it stops well afterwards.

Times are measured by bench/hostile.py; here an answer has to come within 5 s.
"""

from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from central_server.certificates import Wanted, make_certificates
from demo.processes import wait_for
from tests.abuse import raw_http2
from tests.abuse.grpc_attacks import ATTACKS, half_handshakes, silent
from tests.abuse.locator_lab import LOCATE, REQUEST, Besieged, besieged
from tests.abuse.raw_http2 import Raw

pytestmark = pytest.mark.abuse
MAX_GROWTH_BYTES = 50 << 20


def assert_unmoved(target: Besieged) -> None:
    assert not target.refused
    assert target.grown_bytes <= MAX_GROWTH_BYTES


@pytest.mark.parametrize("name", ATTACKS)
def test_others_are_answered_and_the_memory_stays(tmp_path: Path, name: str) -> None:
    with besieged(tmp_path) as target:
        with target.watched():
            ATTACKS[name](target)
        assert_unmoved(target)


@pytest.mark.parametrize("attack", [half_handshakes, silent])
def test_with_tls_handshakes_left_half_open(tmp_path: Path, attack: type) -> None:
    make_certificates(tmp_path, Wanted(["127.0.0.1"]), datetime.now(UTC))
    tls = {name: str(tmp_path / f"127.0.0.1.{end}") for name, end in _TLS.items()}
    credentials = grpc.ssl_channel_credentials((tmp_path / "ca.pem").read_bytes())
    with besieged(tmp_path / "locator", credentials, **tls) as target:
        with target.watched():
            attack(target)
        assert_unmoved(target)


_TLS = {"LOCATOR_TLS_CERT": "pem", "LOCATOR_TLS_KEY": "key"}


def test_a_ping_flood_is_cut_off(tmp_path: Path) -> None:
    with besieged(tmp_path, None, LOCATOR_MAX_UNASKED="1M", LOCATOR_MAX_MESSAGE="1M") as target:
        with Raw(target.address) as raw:
            raw.flood(raw_http2.ping() for _ in range(100_000))
            wait_for("the connection is closed", lambda: raw.gone)
        wait_for("and the log says so", lambda: "cut off 1 " in target.locator.log)


def test_a_ping_flood_is_cut_off_by_strikes_if_so_set(tmp_path: Path) -> None:
    with besieged(tmp_path, None, LOCATOR_PING_STRIKES="2") as target, Raw(target.address) as raw:
        raw.flood(raw_http2.ping() for _ in range(1000))
        wait_for("the connection is closed", lambda: raw.gone)


def test_more_streams_than_allowed_are_refused(tmp_path: Path) -> None:
    """5 may be open at once; of 50 that stay open the rest get ENHANCE_YOUR_CALM or REFUSED_STREAM."""
    with besieged(tmp_path, LOCATOR_MAX_STREAMS="5") as target, Raw(target.address) as raw:
        raw.send(b"".join(raw.request(2 * number + 1, LOCATE, target.token()) for number in range(50)))
        wait_for("45 are refused", lambda: raw.resets() >= 45)


def test_messages_and_metadata_over_the_limit_are_refused(tmp_path: Path) -> None:
    with besieged(tmp_path, LOCATOR_MAX_MESSAGE="64K", LOCATOR_MAX_METADATA="8K") as target:
        channel = grpc.insecure_channel(target.locator.address)
        call = channel.unary_unary(LOCATE, bytes, bytes)
        right = ("authorization", f"Bearer {target.token()}")
        for body, metadata in ((bytes(65_537), [right]), (REQUEST, [right, ("x", "y" * 9000)])):
            with pytest.raises(grpc.RpcError) as raised:
                call(body, metadata=tuple(metadata), timeout=10)
            assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        call(REQUEST, metadata=(right, ("x", "y" * 4000)), timeout=10)
        channel.close()


def test_connections_over_the_limit_are_closed_at_once(tmp_path: Path) -> None:
    with besieged(tmp_path, LOCATOR_MAX_CONNECTIONS="3") as target:
        held = [Raw(target.address) for _ in range(3)]
        wait_for("all three are greeted", lambda: all(raw.greeted for raw in held))
        with Raw(target.address) as fourth:
            wait_for("the fourth is closed", lambda: fourth.gone)
        assert not any(raw.gone for raw in held)
        for raw in held:
            raw.close()


@pytest.mark.parametrize("setting", ["LOCATOR_CONNECTION_IDLE_SECONDS", "LOCATOR_CONNECTION_AGE_SECONDS"])
def test_idle_and_old_connections_are_closed(tmp_path: Path, setting: str) -> None:
    settings = {setting: "1", "LOCATOR_CONNECTION_GRACE_SECONDS": "0"}
    with besieged(tmp_path, None, **settings) as target, Raw(target.address) as raw:
        wait_for("it is closed", lambda: raw.gone)


def test_whoever_says_nothing_is_sent_away(tmp_path: Path) -> None:
    with besieged(tmp_path) as target, Raw(target.address, hello=False) as raw:
        wait_for("it is closed", lambda: raw.gone, 40)  # gRPC itself would wait 60 s


def test_a_busy_member_is_not_cut_off(tmp_path: Path) -> None:
    """30 MB on one connection, where 1 MB may be sent without asking."""
    body = REQUEST + bytes([0x7A, 0xA0, 0x8D, 0x06]) + bytes(100_000)  # and a field that the locator does not know
    with besieged(tmp_path, None, LOCATOR_MAX_UNASKED="1M", LOCATOR_MAX_MESSAGE="1M") as target:
        channel = grpc.insecure_channel(target.locator.address)
        call = channel.unary_unary(LOCATE, bytes, bytes)
        for _ in range(300):
            call(body, metadata=(("authorization", f"Bearer {target.token()}"),), timeout=10)
        channel.close()
        assert "cut off" not in target.locator.log
