"""Asks a listener of this process whether it serves: a whole request, through its socket, its loop and its workers."""

import http.client
import ipaddress


def serves(host: str, port: int, seconds: float) -> bool:
    """Whether what listens at `host` and `port` answers a request within that time. Never raises.

    A refusal is an answer too: it comes from the application, which may not be meant for the Host asked here.
    """
    connection = http.client.HTTPConnection(_reached_at(host), port, timeout=seconds)
    try:
        connection.request("GET", "/healthz", headers={"Connection": "close"})
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reached_at(host: str) -> str:
    """Where to connect: what listens on all addresses is reached on loopback."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"
