"""Which addresses one may be asked to connect to, and an HTTP session that keeps to it.

Addresses come from strangers (a peer advertises one, an offer names one), so every connection that follows one is
checked here, after the name was resolved and on the very address that is connected to: a name cannot answer one
thing to the check and another to the connection (DNS rebinding).
"""

import ipaddress
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError
from urllib3.poolmanager import PoolManager

from protos.deadlines import TimedResponse

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL_CHARACTERS = 256
_METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_MOST_TRIED = 4  # addresses of one name, each with the connection's timeout: a name can stand for hundreds of them


class ForbiddenAddress(OSError):
    """That address may not be connected to: the message says which and why."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What this machine may connect to.

    `own_loopback`: this process itself listens on loopback, so its peers may be there too.
    `allowed`: if not empty, only these networks.
    """

    own_loopback: bool
    allowed: tuple[Network, ...] = field(default=())

    def refusal(self, address: str) -> str | None:
        """Why `address` (an IP, text form) is refused; None if it is allowed."""
        found = _plain(ipaddress.ip_address(address.partition("%")[0]))
        reason = _always_refused(found)
        if reason is None and found.is_loopback and not self.own_loopback:
            reason = "it is a loopback address, which means another machine to each peer"
        if reason is None and self.allowed and not any(_within(found, network) for network in self.allowed):
            reason = "it is outside the allowed networks"
        return reason


def check_url(url: str) -> str:
    """Return `url` if it can be the base of a peer API: http(s)://host[:port], nothing after it. Else ValueError."""
    if not url.isascii() or len(url) > MAX_URL_CHARACTERS or any(c.isspace() or not c.isprintable() for c in url):
        raise ValueError("a peer's URL has at most 256 plain ASCII characters")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a peer's URL begins with http:// or https:// and a host")
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError("a peer's URL is only scheme, host and port")
    if parts.port == 0:  # reading .port also raises ValueError for one out of range
        raise ValueError("a peer's URL cannot have port 0")
    return url


def guarded_session(policy: AddressPolicy, connections: int = 10, ca_file: str | None = None) -> requests.Session:
    """A session that connects only where `policy` allows: it follows no redirect and uses no proxy.

    Each host name is resolved once a connection and connected to as resolved. At most `connections` idle
    connections are kept a host. A refused address raises requests.ConnectionError whose chain holds a
    ForbiddenAddress (see `forbidden_cause`).
    """
    session = _NoRedirects()
    session.trust_env = False  # no proxy, no .netrc: where a request goes is decided here alone
    if ca_file is not None:
        session.verify = ca_file
    adapter = _GuardedAdapter(policy, connections)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def forbidden_cause(error: BaseException) -> ForbiddenAddress | None:
    """The ForbiddenAddress that `error` came from, if it did."""
    seen: set[int] = set()
    queue: list[object] = [error]
    while queue:
        current = queue.pop()
        if isinstance(current, ForbiddenAddress):
            return current
        if isinstance(current, BaseException) and id(current) not in seen:
            seen.add(id(current))
            queue += [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
    return None


def _plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 form of it (mapped, 6to4, Teredo, NAT64), else the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inside is None and address in _NAT64:
            inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return inside or address
    return address


def _always_refused(address: Address) -> str | None:
    if address.is_unspecified:
        return "it is the unspecified address"
    if address.is_link_local or address in _METADATA:
        return "it is a link-local or metadata address"
    if address.is_multicast:
        return "it is a multicast address"
    this_network = address.version == 4 and address.packed[0] == 0  # 0.0.0.0/8, RFC 1122
    if this_network or (address.is_reserved and not address.is_loopback):  # ::1 counts as reserved
        return "it is a reserved address"
    return None


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


class _NoRedirects(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:  # the hook by which requests follows
        return None


def _connect(connection: Any, policy: AddressPolicy) -> socket.socket:
    """Resolve once, refuse what the policy refuses, connect to the first address that answers, of a few.

    `connection` is an urllib3 HTTPConnection; its typed attributes differ between the plain and the TLS class.
    """
    host = connection._dns_host.strip("[]")
    try:
        found = socket.getaddrinfo(host, connection.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NameResolutionError(host, connection, socket.gaierror(str(error))) from error
    refused: ForbiddenAddress | None = None
    failed: OSError | None = None
    tried = 0
    for _family, _type, _protocol, _name, where in found:
        reason = policy.refusal(str(where[0]))
        if reason is not None:
            refused = ForbiddenAddress(f"{host} is {where[0]}, which may not be connected to: {reason}")
            continue
        tried += 1
        if tried > _MOST_TRIED:
            break
        try:
            return _open(where[:2], connection)
        except OSError as error:
            failed = error
    if failed is None and refused is not None:
        raise NewConnectionError(connection, str(refused)) from refused
    raise NewConnectionError(connection, f"cannot connect to {host} port {connection.port}: {failed}") from failed


def _open(where: tuple[Any, ...], connection: Any) -> socket.socket:
    timeout = connection.timeout
    opened = socket.create_connection(where, timeout if isinstance(timeout, int | float) else None)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def _guarded_pool_classes(policy: AddressPolicy) -> dict[str, type[HTTPConnectionPool]]:
    class GuardedHTTP(HTTPConnection):
        response_class = TimedResponse

        def _new_conn(self) -> socket.socket:
            return _connect(self, policy)

    class GuardedHTTPS(HTTPSConnection):
        response_class = TimedResponse

        def _new_conn(self) -> socket.socket:
            return _connect(self, policy)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = GuardedHTTP

    class TLSPool(HTTPSConnectionPool):
        ConnectionCls = GuardedHTTPS

    return {"http": PlainPool, "https": TLSPool}


class _GuardedAdapter(requests.adapters.HTTPAdapter):
    def __init__(self, policy: AddressPolicy, connections: int) -> None:
        self._policy = policy
        super().__init__(pool_connections=64, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **kwargs)
        # The documented way to bring one's own connection class: urllib3's PoolManager.pool_classes_by_scheme.
        self.poolmanager.pool_classes_by_scheme = _guarded_pool_classes(self._policy)

    # Three of requests' hooks for subclasses, each without what is not wanted here (proxies, cookies, guessing an
    # encoding): a peer in a swarm makes forty requests a second, and these took a seventh of their time.

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> HTTPConnectionPool:
        host, pool = self.build_connection_pool_key_attributes(request, verify, cert)
        found: HTTPConnectionPool = self.poolmanager.connection_from_host(**host, pool_kwargs=pool)
        return found

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        return request.path_url

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.reason, response.raw = resp.status, resp.reason, resp
        response.headers = resp.headers  # that of urllib3 is as blind to case
        response.url = req.url or ""
        response.request = req
        return response
