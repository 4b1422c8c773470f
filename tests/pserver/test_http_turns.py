"""Whose turn it is to be sent to, and that nothing else waits for all of them."""

import socket
from collections.abc import Iterator

import pytest
from waitress.task import ThreadedTaskDispatcher

from pserver.http.channel import WRITABLE, Channel
from pserver.http.limits import Limits
from pserver.http.listener import UNSENT_BYTES, Listener, listen

TURN = 256 * 1024


class Reader(Channel):
    """A connection that always takes `TURN` bytes more, and notes when it did."""

    def __init__(self, name: str, waiting: int, turns: list[str], sock: socket.socket) -> None:
        self.name, self.total_outbufs_len, self.turns, self.socket = name, waiting, turns, sock
        self.turn, self._sent, self.connected, self.accepting = 0, 0, True, False

    def interest(self) -> int:
        return WRITABLE

    def handle_write(self) -> None:
        self.turns.append(self.name)
        self._sent += TURN


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = listen(
        lambda *_: [], ("127.0.0.1", 0), Limits(send_bytes_per_round=2 * TURN), "test", ThreadedTaskDispatcher()
    )
    yield made
    made.close_all()


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    made = [one for _ in range(5) for one in socket.socketpair()]
    yield made
    for one in made:
        one.close()


def test_a_round_has_room_for_some_turns_and_the_others_come_first_in_the_next(
    listener: Listener, sockets: list[socket.socket]
) -> None:
    turns: list[str] = []
    for name, sock in zip("abcde", sockets[::2], strict=True):
        listener._map[sock.fileno()] = Reader(name, 1 << 30, turns, sock)
    for _ in range(5):
        listener._round(0)
    rounds = [set(turns[at : at + 2]) for at in range(0, 10, 2)]
    assert len(turns) == 10 and all(len(each) == 2 for each in rounds)
    assert [turns.count(name) for name in "abcde"] == [2] * 5
    assert set(turns[:5]) == set("abcde")


def test_what_is_soon_sent_waits_for_nobody(listener: Listener, sockets: list[socket.socket]) -> None:
    turns: list[str] = []
    for name, waiting, sock in zip("abcde", [1 << 30] * 4 + [1000], sockets[::2], strict=True):
        listener._map[sock.fileno()] = Reader(name, waiting, turns, sock)
    listener._round(0)
    assert turns[0] == "e" and len(turns) == 3


def test_who_closed_in_the_same_round_is_left_alone(listener: Listener, sockets: list[socket.socket]) -> None:
    turns: list[str] = []
    first, second = sockets[0], sockets[2]
    closing = Reader("closing", 10, turns, first)
    other = Reader("other", 1 << 30, turns, second)
    listener._map.update({first.fileno(): closing, second.fileno(): other})
    closing.handle_write = lambda: setattr(other, "socket", None)  # type: ignore[method-assign]  # a fake's
    listener._round(0)
    assert turns == []


def test_the_kernel_is_given_little_more_than_it_can_send(listener: Listener) -> None:
    with socket.create_connection(("127.0.0.1", listener.effective_port)):
        while not listener.active_channels:
            listener._round(1)
        (served,) = listener.active_channels.values()
        assert served.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT_BYTES
