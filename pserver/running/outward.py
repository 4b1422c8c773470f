"""The address of this machine that others should be told, where the peer listens on all of them.

The rules:
 1. The address from which this machine reaches its locator: whoever reaches the locator too will most likely reach it.
 2. But not a loopback address (the locator is on this machine), nor one of a bridge to containers or virtual machines
    (docker0, virbr0, … : the locator is in one): others mean their own by it. Then the address that packets to the
    world would leave from; else the first that is left.
 3. There may be none at all, while the network is away.
Nothing is sent to find out: a UDP socket that is connected only chooses its route.
"""

import fcntl
import ipaddress
import re
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pserver.setting_values import host_and_port

_BRIDGES = re.compile(r"(docker|virbr|lxcbr|lxdbr|incusbr|podman|vboxnet|vmnet)\d.*|br-[0-9a-f]{12}|cni.*|flannel.*")
_WORLD = ("192.0.2.1", "2001:db8::1")  # addresses that nobody has (RFC 5737, RFC 3849): only the way there counts
_IPV6_ADDRESSES = Path("/proc/net/if_inet6")
_SIOCGIFADDR = 0x8915
Route = Callable[[str, int], str | None]  # from which address a host and port would be reached; None: not at all


def outward_address(locators: Sequence[str], route: Route, interfaces: Sequence[tuple[str, str]]) -> str | None:
    """The address by the rules above. `interfaces`: (name, address) of all."""
    bridged = {address for interface, address in interfaces if _BRIDGES.fullmatch(interface)}

    ways = [route(*host_and_port(locator)) for locator in locators]
    ways += [route(world, 9) for world in _WORLD]
    ways += [address for _interface, address in interfaces]
    return next((each for each in ways if each is not None and each not in bridged and _is_outward(each)), None)


def find_outward_address(locators: Sequence[str]) -> str | None:
    """That of this machine, now."""
    return outward_address(locators, route_from, list(own_interfaces()))


def route_from(host: str, port: int) -> str | None:
    """The address from which this machine would send to that host."""
    try:
        family, kind, proto, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.connect(where)
            return str(probe.getsockname()[0])
    except OSError:
        return None


def own_interfaces() -> Iterator[tuple[str, str]]:
    """(name, address) of the interfaces of this machine: of each its first IPv4 address, then all that are IPv6."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _number, name in socket.if_nameindex():
            try:
                found = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue  # it has none
            yield name, socket.inet_ntoa(found[20:24])
    try:
        lines = _IPV6_ADDRESSES.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        digits, *_numbers, name = line.split()
        yield name, str(ipaddress.IPv6Address(bytes.fromhex(digits)))


def _is_outward(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    return not (found.is_loopback or found.is_link_local or found.is_unspecified or found.is_multicast)
