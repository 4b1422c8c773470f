"""What a connection to the locator may be and do: values, and how gRPC is told of its limits. No I/O.

gRPC defends itself against rapid resets and SETTINGS floods (tests/abuse/test_grpc_abuse.py plays them); the rest is
the doorman's. So are ping floods: where gRPC counts strikes (1.85), each ping after the last lengthens a text, and the
10,000 pings that it reads before it closes cost ten times what answering them does, which is enough to keep everybody
else waiting. Connections are counted in all, not by address; a firewall in front can do that.
"""

from dataclasses import dataclass
from pathlib import Path

_HANDSHAKE_SECONDS = 10.0  # for a TLS handshake and the first SETTINGS frame; then the connection is closed
_RESETS_PINGED_PERCENT = 10  # of the streams a client resets, how many make the server ask for a sign of life


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: the locator's certificate (with its chain), its key, and the CA of the clients, if they need one."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Sizes in bytes, times in seconds. A client that pings more often than `ping_seconds` gets a strike each time.

    With 0 `ping_strikes` none is cut off for that, but for the bytes (`unasked_bytes`).
    """

    message_bytes: int = 4 << 20  # 2,000 entries with the longest names
    metadata_bytes: int = 16 << 10
    streams: int = 100  # open at once on one connection
    calls: int = 2048  # under way in all; half as many wait, too: an eighth of a second's work
    connections: int = 10_000
    unasked_bytes: int = 8 << 20  # that a connection may send beyond what its calls explain (doorman.py)
    ping_seconds: float = 20.0
    ping_strikes: int = 0
    idle_seconds: float = 600.0
    age_seconds: float = 3600.0
    age_grace_seconds: float = 30.0

    def options(self) -> list[tuple[str, int]]:
        """For grpc.aio.server; `calls` is an argument of its own there."""
        return [
            ("grpc.max_receive_message_length", self.message_bytes),
            # Beyond the first, gRPC refuses a share of the calls at random; beyond the second, every one.
            ("grpc.max_metadata_size", self.metadata_bytes),
            ("grpc.absolute_max_metadata_size", self.metadata_bytes),
            ("grpc.max_concurrent_streams", self.streams),
            # Calls wait in gRPC's queue, 12 KB each, also those that were reset meanwhile. From the first number on
            # they are refused at random (CANCELLED), from the second on all.
            ("grpc.server.max_pending_requests", self.calls // 4),
            ("grpc.server.max_pending_requests_hard_limit", self.calls // 2),
            ("grpc.max_allowed_incoming_connections", self.connections),
            ("grpc.http2.min_ping_interval_without_data_ms", _milliseconds(self.ping_seconds)),
            ("grpc.http2.max_ping_strikes", self.ping_strikes),
            ("grpc.http2.ping_on_rst_stream_percent", _RESETS_PINGED_PERCENT),
            ("grpc.max_connection_idle_ms", _milliseconds(self.idle_seconds)),
            ("grpc.max_connection_age_ms", _milliseconds(self.age_seconds)),
            ("grpc.max_connection_age_grace_ms", _milliseconds(self.age_grace_seconds)),
            ("grpc.server_handshake_timeout_ms", _milliseconds(_HANDSHAKE_SECONDS)),
        ]


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
