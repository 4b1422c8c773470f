"""Several answers become one."""

from dataclasses import replace

from pserver.model import FileEntry, FileGroup, Holder, LookupAnswer, LookupRequest, Peer, PeerInfo, Query
from pserver.network.merging import MAX_GROUPS, fitting, merge, merge_groups, one_group_a_file

SHA256 = b"s" * 32
REQUEST = LookupRequest("locate", "0" * 32, 0, 1000, (Query(name="a"),))
SEARCH = LookupRequest("search", "0" * 32, 0, 1000, words="a")


def holder(name: str, checked: bool = True, partial: bool = False) -> Holder:
    return Holder(Peer(name * 64, name, f"http://{name}:1"), "a", checked, partial)


def group(file: str, *holders: Holder, count: int = 0, names: tuple[str, ...] = ("a",), size: int = 1) -> FileGroup:
    return FileGroup(file.encode() * 32, size, SHA256, list(names), list(holders), count or len(holders))


def info(name: str, age: float | None = None) -> PeerInfo:
    return PeerInfo(holder(name).peer, 0, 0, 0, True, "0.1", age)


def test_holders_are_counted_once_and_the_first_saying_counts() -> None:
    [merged] = merge_groups([[group("f", holder("a"))], [group("f", holder("a", partial=True), holder("b"))]], 16)
    assert merged.holders == [holder("a"), holder("b")]
    assert merged.holder_count == 2


def test_the_count_is_the_greatest_that_anybody_knows() -> None:
    [merged] = merge_groups([[group("f", holder("a"), count=40)], [group("f", holder("b"))]], 1)
    assert (merged.holders, merged.holder_count) == ([holder("a")], 40)


def test_names_are_put_together_and_bounded() -> None:
    lists = [[group("f", holder("a"), names=(f"{number}", "common"))] for number in range(20)]
    [merged] = merge_groups(lists, 16)
    assert merged.names == ["0", "common", "1", "2", "3", "4", "5", "6"]


def test_what_is_merged_is_not_changed() -> None:
    one, other = group("f", holder("a")), group("f", holder("b"))
    merge_groups([[one], [other]], 16)
    assert (one.holders, other.holders) == ([holder("a")], [holder("b")])


def test_groups_that_contradict_each_other_stay_apart() -> None:
    merged = merge_groups([[group("f", holder("a"))], [group("f", holder("b"), size=2)]], 16)
    assert [each.size for each in merged] == [1, 2]


def test_a_download_asks_all_holders_whatever_they_say_about_the_file() -> None:
    sayings = [group("f", holder("b"), size=2), group("f", holder("a"), holder("c")), group("g", holder("a"))]
    found = one_group_a_file(sayings, 16)
    assert (found[b"f" * 32].size, found[b"f" * 32].holders) == (1, [holder("a"), holder("c"), holder("b")])
    assert set(found) == {b"f" * 32, b"g" * 32}
    assert len(one_group_a_file(sayings, 2)[b"f" * 32].holders) == 2


def test_fitting() -> None:
    mixed = group("f", holder("a"), holder("b", checked=False), count=9)
    assert fitting(Query(file_id=b"f" * 32), [mixed, group("g")]) == [mixed]
    [checked] = fitting(Query(sha256=SHA256), [mixed, group("g", holder("b", checked=False))])
    assert (checked.holders, checked.holder_count) == ([holder("a")], 8)
    assert fitting(Query(sha256=bytes(32)), [mixed]) == []
    assert fitting(Query(name="anything"), [mixed]) == [mixed]


def test_a_locate_puts_everything_together_the_surest_first() -> None:
    own = LookupAnswer(False, ["own share"], results=[[group("f", holder("o"))]])
    partly = LookupAnswer(False, ["neighbour b"], results=[[group("f", holder("b")), group("g", holder("b"))]])
    whole = LookupAnswer(True, ["locator"], results=[[group("g", holder("c"), holder("d"))]])
    merged = merge(replace(REQUEST, max_holders=2), own, [partly, whole])
    assert (merged.complete, merged.via) == (True, ["neighbour b", "locator"])
    assert merged.results == [
        [group("g", holder("c"), holder("d"), count=3), group("f", holder("o"), holder("b"), count=2)]
    ]


def test_only_so_many_holders_travel() -> None:
    many = LookupAnswer(True, ["locator"], results=[[group("f", *(holder(chr(97 + n)) for n in range(26)))]])
    nothing = LookupAnswer(False)
    assert len(merge(REQUEST, nothing, [many]).results[0][0].holders) == 16
    assert len(merge(replace(REQUEST, max_holders=20), nothing, [many]).results[0][0].holders) == 20
    assert len(merge(replace(REQUEST, max_holders=10_000), nothing, [many]).results[0][0].holders) == 26


def test_a_complete_page_keeps_its_order_and_its_token() -> None:
    own = LookupAnswer(False, ["own share"], groups=[group("o", holder("o")), group("g", holder("o"))])
    partly = LookupAnswer(False, ["neighbour b"], groups=[group("x", holder("b"))], next_page_token="theirs")
    whole = LookupAnswer(True, ["locator"], groups=[group("f"), group("g", holder("c"))], next_page_token="t")
    merged = merge(SEARCH, own, [partly, whole])
    assert [each.file_id[:1] for each in merged.groups] == [b"f", b"g", b"o"]
    assert merged.groups[1].holders == [holder("o"), holder("c")]
    assert merged.next_page_token == "t"
    later = merge(replace(SEARCH, page_token="t"), own, [whole])
    assert [each.file_id[:1] for each in later.groups] == [b"f"]


def test_without_a_complete_answer_everything_is_one_page() -> None:
    own = LookupAnswer(False, ["own share"], groups=[group("o", holder("o"))])
    many = LookupAnswer(
        False, ["neighbour b"], groups=[group(chr(200 + n)[:1], holder("b")) for n in range(50)], next_page_token="x"
    )
    merged = merge(SEARCH, own, [many, many])
    assert (len(merged.groups), merged.complete, merged.next_page_token) == (51, False, "")
    more = [FileGroup(n.to_bytes(32, "big"), 1, SHA256, ["a"], [], 0) for n in range(300)]
    assert len(merge(SEARCH, own, [LookupAnswer(False, ["x"], groups=more)]).groups) == MAX_GROUPS


def test_peers_are_put_together_by_name_and_the_own_saying_counts() -> None:
    request = replace(SEARCH, kind="peers")
    own = LookupAnswer(False, ["own share"], peers=[info("b")])
    whole = LookupAnswer(True, ["locator"], peers=[info("a", 1.0), info("b", 2.0), info("c", 3.0)])
    merged = merge(request, own, [whole])
    assert [(each.peer.name, each.heartbeat_age) for each in merged.peers] == [("a", 1.0), ("b", None), ("c", 3.0)]


def test_files_are_put_together_by_name() -> None:
    entries = [FileEntry(name, b"f" * 32, 1, SHA256, True) for name in "cab"]
    answers = [LookupAnswer(False, ["x"], files=entries[:2]), LookupAnswer(False, ["y"], files=entries[1:])]
    merged = merge(replace(SEARCH, kind="files"), LookupAnswer(False), answers)
    assert [each.name for each in merged.files] == ["a", "b", "c"]


def test_an_answer_of_nobody_is_the_own_one() -> None:
    own = LookupAnswer(False, ["own share"], results=[[group("f", holder("o"))]])
    merged = merge(REQUEST, own, [])
    assert (merged.complete, merged.via, merged.results) == (False, ["own share"], own.results)
