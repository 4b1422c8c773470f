"""Which connections are cut off: the rules alone, and on real sockets."""

import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest

from central_server.doorman import Connection, Doorman, too_much

LIMIT = 1000
ANN, BEN = "192.0.2.1", "192.0.2.2"


def connection(host: str, port: int, received: int, age: int = 0) -> Connection:
    return Connection((host, port), (port, port), received, age)


def cut(*connections: Connection, asked: Mapping[tuple[str, int], float] | None = None) -> set[int]:
    """The ports of those that are cut."""
    return {each.who[1] for each in too_much(connections, asked or {}, LIMIT)}


def test_what_calls_explain_is_not_held_against_a_connection() -> None:
    asked = {(ANN, 1): 5000.0}
    assert cut(connection(ANN, 1, 6000), asked=asked) == set()
    assert cut(connection(ANN, 1, 6001), asked=asked) == {1}


def test_connections_that_ask_are_counted_each_for_itself() -> None:
    asked = {(ANN, port): 0.0 for port in range(5)}
    assert cut(*(connection(ANN, port, 900) for port in range(5)), asked=asked) == set()


def test_those_that_ask_nothing_are_counted_together_and_the_largest_is_cut() -> None:
    assert cut(connection(ANN, 1, 400), connection(ANN, 2, 600)) == set()
    assert cut(connection(ANN, 1, 400), connection(ANN, 2, 500), connection(ANN, 3, 101)) == {2}
    assert cut(connection(ANN, 1, 900), connection(BEN, 2, 900)) == set()


def test_of_many_that_ask_nothing_the_oldest_are_cut() -> None:
    many = [connection(ANN, port, 1, age=port) for port in range(300)]
    assert cut(*many) == set(range(300 - 256))
    assert cut(*many, asked={(ANN, port): 1.0 for port in range(44)}) == set()


@pytest.fixture
def port() -> Iterator[tuple[int, list[socket.socket], list[socket.socket]]]:
    """A listening port with three connections: what the clients have, and what the server has."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        number = listener.getsockname()[1]
        pairs = []
        for _ in range(3):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", number)))
            pairs.append((client, stack.enter_context(listener.accept()[0])))
        yield number, [client for client, _ in pairs], [server for _, server in pairs]


def alive(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True


def test_real_connections_are_counted_and_cut(
    port: tuple[int, list[socket.socket], list[socket.socket]],
) -> None:
    number, (quiet, honest, flooding), servers = port
    doorman = Doorman(LIMIT)
    assert not doorman.look(number)
    quiet.sendall(bytes(10))
    for client, server in ((honest, servers[1]), (flooding, servers[2])):
        client.sendall(bytes(2000))
        server.recv(2000, socket.MSG_WAITALL)
    doorman.admitted(f"ipv4:127.0.0.1:{honest.getsockname()[1]}", 2000)
    assert [each.who[1] for each in doorman.look(number)] == [flooding.getsockname()[1]]
    assert not alive(flooding) and alive(quiet) and alive(honest)


def test_other_ports_and_other_descriptors_are_left_alone(
    port: tuple[int, list[socket.socket], list[socket.socket]],
) -> None:
    number, clients, servers = port
    for client, server in zip(clients, servers, strict=True):
        client.sendall(bytes(2000))
        server.recv(2000, socket.MSG_WAITALL)
    before = {int(name) for name in os.listdir("/proc/self/fd")}
    assert not Doorman(LIMIT).look(number + 1)
    assert all(map(alive, clients))
    assert {int(name) for name in os.listdir("/proc/self/fd")} == before
    assert all(stat.S_ISSOCK(os.fstat(server.fileno()).st_mode) for server in servers)


def test_what_a_connection_asked_is_forgotten_with_it(
    port: tuple[int, list[socket.socket], list[socket.socket]],
) -> None:
    number, clients, servers = port
    doorman = Doorman(LIMIT)
    name = clients[0].getsockname()[1]
    doorman.admitted(f"ipv4:127.0.0.1:{name}", 1)
    doorman.admitted("ipv6:%5B2001:db8::1%5D:5000", 1)
    doorman.admitted("unix:/nowhere", 1)
    doorman.look(number)
    assert doorman.remembered == 1
    for each in (clients[0], servers[0]):
        each.close()
    doorman.look(number)
    assert doorman.remembered == 0
