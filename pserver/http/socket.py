"""What the kernel knows and does about one TCP connection, in the few calls that Python has no names for (tcp(7))."""

import fcntl
import ipaddress
import socket
import struct
import termios


def unacknowledged(sock: socket.socket) -> int:
    """Bytes given to the kernel that the other side has not acknowledged (SIOCOUTQ)."""
    (count,) = struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0"))
    return int(count)


def reset_on_close(sock: socket.socket) -> None:
    """Make close() forget at once what the other side would not take, and tell it with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def address_key(host: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that one IPv6 host can choose from."""
    address = ipaddress.ip_address(host.partition("%")[0])
    return host if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
