"""What a listener allows its clients: sizes in bytes, times in seconds. Only values; the server keeps to them."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class Limits:
    """The bounds of one HttpServer. The defaults suit the peer API on the open network.

    threads: how many requests the application works on at once. Sending a file needs no thread.
    max_connections: open connections in all. When full, the longest-waiting one makes room for a new one; only when
        every connection is being worked for or sent to is the new one answered 503.
    max_connections_per_address: the same, per IPv4 address or IPv6 /64, answered 429. High by default, because behind
        a proxy all clients have one address; it only keeps one address from taking everything.
    max_requests: requests that are worked on or wait for a worker; one more is answered 503.
    max_header_bytes: request line and headers; more is answered 431.
    max_body_bytes: request body, kept in memory, so max_connections times this is the worst case; more is 413.
    header_seconds: from the first byte of a request to the end of its headers, however the bytes drip; else 408.
    body_seconds: from the end of the headers to the end of the body; else 408.
    idle_seconds: how long a connection may wait without a request begun.
    stall_seconds: how long a reader may take not one byte of an answer; then it is cut off with a reset.
    send_bytes_per_turn: how much one connection is sent before the others have their turn.
    send_bytes_per_round: about how much all are sent before new requests are looked at; whoever had no turn by then is
        among the first of the next round.
    upload_rate: bytes/s that all answers together are sent with; None for no bound (see `pace`).
    """

    threads: int = 8
    max_connections: int = 512
    max_connections_per_address: int = 384
    max_requests: int = 256
    max_header_bytes: int = 32 * KIB
    max_body_bytes: int = 256 * KIB
    header_seconds: float = 15
    body_seconds: float = 120
    idle_seconds: float = 75
    stall_seconds: float = 30
    send_bytes_per_turn: int = MIB
    send_bytes_per_round: int = 2 * MIB
    upload_rate: int | None = None

    def turn_bytes(self, sending: int) -> int:
        """What one of so many connections that are being sent to gets a turn."""
        return min(self.send_bytes_per_turn, max(128 * KIB, 2 * MIB // max(sending, 1)))

    def tick_seconds(self) -> float:
        """How often to look for what is overdue: once a second, oftener when a limit is shorter than that."""
        shortest = min(self.header_seconds, self.body_seconds, self.idle_seconds, self.stall_seconds)
        return min(1.0, max(0.01, shortest / 4))
