"""The health check of the images: whether the server of this container answers. Exit status 0: it does.

    health.py [PATH]    of a peer: GET PATH of its peer API (default /healthz); of a locator: grpc.health.v1

It runs every few seconds for ever, and four times a second at the start, so it must cost next to nothing: 25 ms, a
tenth of what importing grpc alone takes. So it writes the two requests itself (RFC 9113, RFC 7541, and the health
checking protocol of gRPC). It asks on loopback, and does not verify the certificate there.
"""

import os
import socket
import struct
import sys

_SECONDS = 2.0
_HEADERS, _DATA, _SETTINGS = 1, 0, 4
_END_STREAM, _END_HEADERS = 1, 4
_SERVING = b"\x08\x01"  # HealthCheckResponse{status: SERVING}


def main() -> int:
    """0 if it answers as it should, else 1."""
    try:
        if "LOCATOR_LISTEN" in os.environ:
            well = _locator_serves(_port("LOCATOR_LISTEN"), tls=bool(os.environ.get("LOCATOR_TLS_CERT")))
        else:
            well = _peer_answers(_port("PSERVER_LISTEN"), (sys.argv[1:] or ["/healthz"])[0])
    except OSError as error:
        print(error)
        return 1
    return 0 if well else 1


def _port(setting: str) -> int:
    return int(os.environ[setting].rpartition(":")[2])


def _peer_answers(port: int, path: str) -> bool:
    with socket.create_connection(("127.0.0.1", port), _SECONDS) as peer:
        peer.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while more := peer.recv(4096):
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    print(body.decode(errors="replace"))  # `docker inspect` shows it
    return head.split(b" ")[1:2] == [b"200"]


def _locator_serves(port: int, *, tls: bool) -> bool:
    with socket.create_connection(("127.0.0.1", port), _SECONDS) as plain:
        locator = _encrypted(plain) if tls else plain
        locator.sendall(_health_call("https" if tls else "http"))
        read = locator.makefile("rb")
        while head := read.read(9):
            kind, content = head[3], read.read(int.from_bytes(head[:3], "big"))
            if kind == _DATA:
                print("serving" if content[5:] == _SERVING else "not serving")
                return content[5:] == _SERVING
    return False


def _encrypted(plain: socket.socket) -> socket.socket:
    import ssl  # most run without

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(plain)


def _health_call(scheme: str) -> bytes:
    """A connection's preface, and on it a call of grpc.health.v1.Health/Check for the server as a whole."""
    fields = {
        ":method": "POST",
        ":scheme": scheme,
        ":path": "/grpc.health.v1.Health/Check",
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    headers = b"".join(b"\0" + _short(name) + _short(value) for name, value in fields.items())
    message = b"\0" + struct.pack(">I", 0)  # not compressed, and empty
    return b"".join(
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            _frame(_SETTINGS, 0, 0, b""),
            _frame(_HEADERS, _END_HEADERS, 1, headers),
            _frame(_DATA, _END_STREAM, 1, message),
        ]
    )


def _short(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()  # below 127 bytes the length is one byte


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content


if __name__ == "__main__":
    sys.exit(main())
