"""The locator under load: lookups, announces and searches on an index of a million holdings in SQLite.

`python -m bench.locator` prints the rows; `run()` returns them. Each figure is the median of five rounds, in which
what is compared takes turns.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.locator_index import FOREVER, file_name, fill
from bench.locator_load import (
    LOCATE,
    Lookups,
    Member,
    announce_all,
    has_h2load,
    meanwhile,
    serving,
    temporary_folder,
)
from bench.locator_server import EMPTY
from central_server.model import Query
from central_server.store_sqlite import SQLiteStore
from protos import locator_pb2 as pb
from protos.tokens import LOCATOR_AUDIENCE, Issuer

ROUNDS = 5
PEERS, FILES_EACH = 100, 10_000
SMALL_FILES_EACH = 100
CALLS = 6000
P99_SECONDS = 1.5
ANNOUNCERS, ANNOUNCED_EACH = 4, 6000
SEARCH_SECONDS = 1.0
SEARCH_SLACK_SECONDS = 0.2


class Row(TypedDict):
    """One figure, and whether it reaches its target."""

    what: str
    value: float
    unit: str
    target: str
    ok: bool


def run() -> list[Row]:
    """Measure. Takes about three minutes. Nothing without h2load."""
    if not has_h2load():
        print("bench.locator: skipped, h2load is not installed (Debian: apt install nghttp2-client)")
        return []
    with temporary_folder() as folder:
        large, small = folder / "large.sqlite", folder / "small.sqlite"
        asyncio.run(fill(large, PEERS, FILES_EACH))
        asyncio.run(fill(small, PEERS, SMALL_FILES_EACH))
        rows = [_growth(small, large)]
        with serving(large) as port:
            token = Issuer(Ed25519PrivateKey.generate(), None).token(LOCATOR_AUDIENCE, "locate", time.time())
            rows += _lookups(Lookups(port, token, folder))
            rows += _searches(port, folder)
            rows += _announces(port, folder)
    return rows


def _growth(small: Path, large: Path) -> Row:
    """The store's own lookup, in a large index against a small one."""

    async def microseconds(path: Path, files_each: int) -> float:
        store = SQLiteStore(path, FOREVER)
        chosen = random.Random(1)
        names = [file_name(chosen.randrange(PEERS), chosen.randrange(files_each)) for _ in range(5000)]
        await store.holders_of([Query("name", name) for name in names], 16, 1.0)
        began = time.thread_time()  # nothing here waits; what else the machine does should not count
        for name in names:
            [[_group]] = await store.holders_of([Query("name", name)], 16, 1.0)
        took = time.thread_time() - began
        await store.close()
        return took / len(names) * 1e6

    def both() -> tuple[float, float]:
        return asyncio.run(microseconds(small, SMALL_FILES_EACH)), asyncio.run(microseconds(large, FILES_EACH))

    of_small, of_large = _medians(both)
    ratio = of_large / of_small
    what = f"the store's Locate at 1,000,000 holdings ({of_large:.0f} µs) against 10,000 ({of_small:.0f} µs)"
    return Row(what=what, value=ratio, unit="times", target="≤ 1.5", ok=ratio <= 1.5)


def _lookups(lookups: Lookups) -> list[Row]:
    """Lookups a second against an empty method, and in batches."""
    chosen = random.Random(2)
    names = [file_name(chosen.randrange(PEERS), chosen.randrange(FILES_EACH)) for _ in range(100)]
    one = pb.LocateRequest(queries=[pb.LocateQuery(name=names[0])]).SerializeToString()
    hundred = pb.LocateRequest(queries=[pb.LocateQuery(name=name) for name in names]).SerializeToString()

    def rates() -> tuple[float, ...]:
        return (
            lookups.rate(EMPTY, b"", CALLS),
            lookups.rate(LOCATE, one, CALLS),
            lookups.rate(LOCATE, hundred, CALLS // 30) * 100,
        )

    rates()  # warms up
    empty, unary, batched = _medians(rates)
    return [
        Row(
            what=f"unary Locate ({unary:,.0f}/s) against an empty method ({empty:,.0f}/s)",
            value=unary / empty,
            unit="times",
            target="≥ 0.5",
            ok=unary / empty >= 0.5,
        ),
        Row(
            what=f"names located in batches of 100 ({batched:,.0f}/s) against unary",
            value=batched / unary,
            unit="times",
            target="≥ 8",
            ok=batched / unary >= 8,
        ),
    ]


def _searches(port: int, folder: Path) -> list[Row]:
    """Searches for one letter, back to back, and lookups meanwhile."""
    lookups, request = _one_lookup(port, folder)
    searcher = Member(port, 9_000)
    longest: list[float] = []

    def search_for(seconds: float) -> None:
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            longest.append(max(searcher.search(word, SEARCH_SECONDS) for word in ("a", "z", "a b p")))

    def both() -> tuple[float, float]:
        idle = lookups.p99(request, P99_SECONDS)
        thread, _ = meanwhile(search_for, P99_SECONDS)
        busy = lookups.p99(request, P99_SECONDS)
        thread.join()
        return idle, busy

    idle, busy = _medians(both)
    searcher.leave()
    limit = SEARCH_SECONDS + SEARCH_SLACK_SECONDS
    return [
        Row(
            what=f"Search for one-letter words over 1,000,000 names, the longest (deadline {SEARCH_SECONDS:g} s)",
            value=max(longest),
            unit="s",
            target=f"≤ {limit:g}",
            ok=max(longest) <= limit,
        ),
        _p99_row("one-letter searches", idle, busy, 5),
    ]


def _announces(port: int, folder: Path) -> list[Row]:
    """New files and a resync of unchanged ones, by several peers at once, and lookups meanwhile."""
    lookups, request = _one_lookup(port, folder)
    total = ANNOUNCERS * ANNOUNCED_EACH
    first = iter(range(10_000, 20_000, ANNOUNCERS))

    def both() -> tuple[float, ...]:
        number = next(first)
        members = [Member(port, number + each) for each in range(ANNOUNCERS)]
        new, again = ([member.snapshot(ANNOUNCED_EACH, sequence) for member in members] for sequence in (1, 2))
        rates = (total / announce_all(members, new), total / announce_all(members, again))
        idle = lookups.p99(request, P99_SECONDS)
        # Once more with lookups beside it, over and over until the lookups end.
        more = [member.snapshot(ANNOUNCED_EACH, sequence) for member in members for sequence in (3,)]
        others = [Member(port, number + 5000 + each) for each in range(ANNOUNCERS)]
        fresh = [member.snapshot(ANNOUNCED_EACH, 1) for member in others]
        thread, _ = meanwhile(lambda: (announce_all(others, fresh), announce_all(members, more)))
        busy = lookups.p99(request, P99_SECONDS)
        thread.join()
        for member in (*members, *others):
            member.leave()
        return *rates, idle, busy

    new, unchanged, idle, busy = _medians(both)
    return [
        Row(what="new files announced", value=new, unit="files/s", target="≥ 8,000", ok=new >= 8000),
        Row(
            what="unchanged files in a resync",
            value=unchanged,
            unit="files/s",
            target="≥ 20,000",
            ok=unchanged >= 20_000,
        ),
        _p99_row("announces", idle, busy, 10),
    ]


def _one_lookup(port: int, folder: Path) -> tuple[Lookups, bytes]:
    token = Issuer(Ed25519PrivateKey.generate(), None).token(LOCATOR_AUDIENCE, "locate", time.time())
    request = pb.LocateRequest(queries=[pb.LocateQuery(name=file_name(1, 1))]).SerializeToString()
    return Lookups(port, token, folder), request


def _p99_row(beside: str, idle: float, busy: float, limit: int) -> Row:
    return Row(
        what=f"Locate's p99 beside {beside} ({busy:.2f} ms) against idle ({idle:.2f} ms)",
        value=busy / idle,
        unit="times",
        target=f"< {limit}",
        ok=busy / idle < limit,
    )


def _medians(measure: Callable[[], tuple[float, ...]]) -> list[float]:
    """The median of each figure over the rounds."""
    return [statistics.median(figures) for figures in zip(*(measure() for _ in range(ROUNDS)), strict=True)]


def main() -> None:
    """Print the rows."""
    for row in run():
        verdict = "ok  " if row["ok"] else "MISS"
        print(f"{verdict} {row['what']}: {row['value']:,.2f} {row['unit']} (target {row['target']})")


if __name__ == "__main__":
    main()
