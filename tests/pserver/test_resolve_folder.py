"""The list of a folder, of pages that may come from whoever answers: whole, each file once, or an error."""

from collections.abc import Callable, Sequence

import pytest

from pserver.exchange.resolve import Resolver
from pserver.model import FileEntry, InvalidRequest, LookupAnswer, NotFound, Peer, PeerInfo, Query, Unavailable

PEER = Peer("a" * 64, "a", "http://127.0.0.1:1")
Page = tuple[Sequence[str], str]  # names, the next page's token


class Finder:
    """One peer with a folder; `pages` answers for a page token, or raises."""

    def __init__(self, pages: Callable[[str], Page], complete: bool = True) -> None:
        self._pages = pages
        self._complete = complete

    def locate(self, queries: Sequence[Query], max_holders: int = 0) -> LookupAnswer:
        raise NotFound("nothing")

    def peers(self, match: str = "", folder: str = "", page_size: int = 0, page_token: str = "") -> LookupAnswer:
        return LookupAnswer(complete=True, peers=[PeerInfo(PEER, 1, 1, 0, True, "1")])

    def files(self, peer_id: str, prefix: str = "", page_size: int = 0, page_token: str = "") -> LookupAnswer:
        names, token = self._pages(page_token)
        files = [FileEntry(name, bytes(32), 1, bytes(32), sha256_checked=True) for name in names]
        return LookupAnswer(complete=self._complete, files=files, next_page_token=token)


def listed(finder: Finder) -> list[str]:
    order = Resolver(finder, "b" * 64, networked=True).order("docs/", None, None, None)
    return [one.name for one in order.wanted]


def test_all_pages_make_the_folder() -> None:
    pages: dict[str, Page] = {"": (["docs/1", "docs/2"], "x"), "x": (["docs/3"], "")}
    assert listed(Finder(pages.__getitem__)) == ["docs/1", "docs/2", "docs/3"]


def test_a_file_that_is_on_two_pages_is_one() -> None:
    pages: dict[str, Page] = {"": (["docs/1", "docs/2"], "x"), "x": (["docs/1", "docs/2"], "y"), "y": (["docs/3"], "")}
    assert listed(Finder(pages.__getitem__)) == ["docs/1", "docs/2", "docs/3"]


def test_a_list_that_another_cannot_go_on_with_begins_anew() -> None:
    asked: list[str] = []

    def answer(token: str) -> Page:
        asked.append(token)
        if asked.count(token) == 1 and token:
            raise InvalidRequest("the page token is malformed")
        return (["docs/2"], "") if token else (["docs/1"], "x")

    assert listed(Finder(answer)) == ["docs/1", "docs/2"]
    assert asked == ["", "x", "", "x"]


def test_a_list_that_always_breaks_off_is_no_list() -> None:
    def answer(token: str) -> Page:
        if token:
            raise InvalidRequest("the page token is malformed")
        return ["docs/1"], "x"

    with pytest.raises(Unavailable, match="breaks off"):
        listed(Finder(answer))


def test_what_nobody_knows_whole_is_no_folder() -> None:
    with pytest.raises(Unavailable, match="nobody who knows all"):
        listed(Finder(lambda _token: (["docs/1"], ""), complete=False))
