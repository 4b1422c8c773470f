"""Where a request may go: every form of a forbidden address is refused before anything is connected to."""

import ipaddress
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from protos.addresses import AddressPolicy, ForbiddenAddress, check_url, forbidden_cause, guarded_session

STRICT = AddressPolicy(own_loopback=False)
LOOPBACK = AddressPolicy(own_loopback=True)

_connections: list[object] = []


def _notice(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        _connections.append(arguments[1])


sys.addaudithook(_notice)  # sees every connect() of the process, whoever makes it; cannot be taken away again


@pytest.fixture
def connections() -> list[object]:
    """Every address that this process connects to from now on."""
    _connections.clear()
    return _connections


LOOPBACK_HOSTS = [  # as it is and in disguise
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "017700000001",
    "0177.0.0.1",
    "localhost",
    "LOCALHOST",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[2002:7f00:1::]",
    "[2002:7f00:0001::1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::127.0.0.1]",
]
ALWAYS_FORBIDDEN_HOSTS = [
    # this machine, unspecified
    "0.0.0.0",
    "0",
    "0x0",
    "0.1.2.3",
    "[::]",
    "[::ffff:0.0.0.0]",
    # link-local and metadata
    "169.254.169.254",
    "169.254.0.1",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "169.254.43518",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[2002:a9fe:a9fe::]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[fe80::1]",
    "[febf::1]",
    "[fd00:ec2::254]",
    "[fd00:0ec2:0:0:0:0:0:254]",
    "100.100.100.200",
    "[::ffff:100.100.100.200]",
    # multicast, broadcast, reserved
    "224.0.0.1",
    "239.255.255.250",
    "[ff02::1]",
    "[ff0e::1]",
    "[::ffff:224.0.0.1]",
    "255.255.255.255",
    "240.0.0.1",
    "[2002:e000:1::]",
]
FORBIDDEN_HOSTS = LOOPBACK_HOSTS + ALWAYS_FORBIDDEN_HOSTS


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", FORBIDDEN_HOSTS)
def test_a_forbidden_address_is_never_connected_to(scheme: str, host: str, connections: list[object]) -> None:
    with guarded_session(STRICT) as session, pytest.raises(requests.ConnectionError) as caught:
        session.get(f"{scheme}://{host}:9/", timeout=2)
    assert connections == []
    cause = forbidden_cause(caught.value)
    assert cause is not None or not _resolves(host), "refused for another reason than that it is forbidden"


def _resolves(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host.strip("[]"), 9, type=socket.SOCK_STREAM))
    except OSError:
        return False


@pytest.mark.parametrize("host", ALWAYS_FORBIDDEN_HOSTS)
def test_a_peer_on_loopback_may_go_to_loopback_and_nowhere_else(host: str, connections: list[object]) -> None:
    with guarded_session(LOOPBACK) as session, pytest.raises(requests.ConnectionError) as caught:
        session.get(f"http://{host}:9/", timeout=2)
    assert connections == []
    assert forbidden_cause(caught.value) is not None or not _resolves(host)


@pytest.mark.parametrize("host", LOOPBACK_HOSTS)
def test_loopback_in_disguise_is_still_only_loopback(host: str) -> None:
    if _resolves(host):
        [(*_rest, where)] = {found[4][0]: found for found in socket.getaddrinfo(host.strip("[]"), 9, type=1)}.values()
        assert LOOPBACK.refusal(str(where[0])) is None or host == "[::127.0.0.1]"  # a form that nobody may use


@pytest.mark.parametrize("name", ["rebound.example", "metadata.google.internal"])
def test_a_name_is_judged_by_what_it_resolves_to(
    name: str, monkeypatch: pytest.MonkeyPatch, connections: list[object]
) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int, *_more: object, **_named: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", port)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with guarded_session(STRICT) as session, pytest.raises(requests.ConnectionError) as caught:
        session.get(f"http://{name}/", timeout=2)
    assert isinstance(forbidden_cause(caught.value), ForbiddenAddress)
    assert asked == [name], "resolved once"
    assert connections == []


def test_of_several_addresses_only_the_allowed_one_is_connected_to(
    monkeypatch: pytest.MonkeyPatch, connections: list[object], server: ThreadingHTTPServer
) -> None:
    port = server.server_address[1]

    def resolve(_host: str, _port: int, *_more: object, **_named: object) -> list[tuple[object, ...]]:
        found = ["169.254.169.254", "0.0.0.0", "127.0.0.1"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    with monkeypatch.context() as patched, guarded_session(LOOPBACK) as session:
        patched.setattr(socket, "getaddrinfo", resolve)
        # create_connection resolves the address that was judged; give it back what it asked for.
        patched.setattr(socket, "create_connection", _connect_as_told)
        assert session.get("http://several.example/", timeout=2).status_code == 204
    assert connections == [("127.0.0.1", port)]


def _connect_as_told(where: tuple[str, int], timeout: float | None = None) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    opened.settimeout(timeout)
    opened.connect(where)
    return opened


# --- redirects and proxies


class _Redirecting(BaseHTTPRequestHandler):
    """/STATUS/N redirects with STATUS to the Nth place; anything else is 204."""

    places: tuple[str, ...] = ()
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        parts = self.path.strip("/").split("/")
        status = int(parts[0]) if parts[0].isdigit() else 204
        self.send_response(status)
        if status != 204:
            self.send_header("Location", self.places[int(parts[1])])
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    _Redirecting.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Redirecting) as running:
        port = running.server_address[1]
        _Redirecting.places = (
            "http://169.254.169.254/latest/meta-data/",
            "//169.254.169.254/",
            f"http://127.0.0.1:{port}/stolen",
            "/stolen",
            "file:///etc/passwd",
            "http://user:password@10.0.0.1/",
            "gopher://10.0.0.1/",
        )
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_not_an_order(
    server: ThreadingHTTPServer, status: int, method: str, connections: list[object]
) -> None:
    here = ("127.0.0.1", server.server_address[1])
    with guarded_session(LOOPBACK) as session:
        for number in range(len(_Redirecting.places)):
            answer = session.request(method, f"http://127.0.0.1:{here[1]}/{status}/{number}", timeout=2)
            assert answer.status_code == status
    assert set(connections) == {here}
    assert [path for path in _Redirecting.asked if path == "/stolen"] == []


def test_a_proxy_of_the_environment_is_not_used(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, connections: list[object]
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    port = server.server_address[1]
    with guarded_session(LOOPBACK) as session:
        assert session.get(f"http://127.0.0.1:{port}/", timeout=2).status_code == 204
    assert connections == [("127.0.0.1", port)]


# --- the allowed networks


def test_allowed_networks_narrow_what_is_allowed() -> None:
    policy = AddressPolicy(False, (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00:1::/32")))
    assert policy.refusal("10.1.2.3") is None
    assert policy.refusal("::ffff:10.1.2.3") is None
    assert policy.refusal("fd00:1::7") is None
    for outside in ("192.168.1.1", "8.8.8.8", "fd00:2::7", "::ffff:11.0.0.1"):
        assert "outside" in str(policy.refusal(outside))


def test_allowed_networks_never_widen() -> None:
    everything = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    for address in ("169.254.169.254", "127.0.0.1", "::1", "224.0.0.1", "0.0.0.0", "fd00:ec2::254"):
        assert AddressPolicy(False, everything).refusal(address) is not None


@pytest.mark.parametrize("address", ["10.0.0.1", "172.16.5.5", "192.168.0.1", "8.8.8.8", "2001:db9::1", "fd12::1"])
def test_private_and_public_addresses_are_allowed(address: str) -> None:
    assert STRICT.refusal(address) is None


# --- URLs of peers


@pytest.mark.parametrize(
    "url", ["http://a", "https://a.example:8001", "http://10.0.0.1:1", "http://[fd12::1]:8001", "http://a:65535"]
)
def test_the_base_of_a_peer_api_is_scheme_host_and_port(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a",
        "//a",
        "ftp://a",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http://:80",
        "http://a/",
        "http://a/path",
        "http://a?x",
        "http://a?",
        "http://a#x",
        "http://a#",
        "http://user@a",
        "http://user:password@a",
        "http://a:0",
        "http://a:65536",
        "http://a:x",
        "http://a b",
        "http://a\n",
        "http://a\x00",
        "http://ä.example",
        "http://" + "a" * 250,
        "http://[::1",
    ],
)
def test_anything_else_is_no_url_of_a_peer(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|[Pp]ort"):
        check_url(url)
