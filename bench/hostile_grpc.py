"""The locator's gRPC port under fire: how long an honest member waits for a lookup, and how the memory grows.

`python -m bench.hostile_grpc` prints the rows. Each attack (tests/abuse/grpc_attacks.py) is repeated until the member
has asked often enough; a wait includes the calls that a full queue sent back and that were made again. Attackers,
member and locator share the machine's cores.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.rows import Row, at_most, main
from tests.abuse.grpc_attacks import ATTACKS
from tests.abuse.locator_lab import Besieged, besieged

_CALLS = 1000
_QUICK_CALLS = 100
_IDLE_CALLS = 1000
_REPEATS = 200
P99_MS = 100.0
GROWN_MB = 50.0


def run(quick: bool = False) -> list[Row]:
    """A locator of its own for each attack."""
    calls = _QUICK_CALLS if quick else _CALLS
    return [row for name, attack in ATTACKS.items() for row in _rows(name, attack, calls)]


def _rows(name: str, attack: Callable[[Besieged], None], calls: int) -> list[Row]:
    with TemporaryDirectory() as folder, besieged(Path(folder)) as target:
        with target.watched():
            target.until_asked(min(calls, _IDLE_CALLS))
        idle = _p99_ms(target.waits)
        with target.watched():
            for _ in range(_REPEATS):
                attack(target)
                if len(target.waits) >= calls:
                    break
        busy, grown, back = _p99_ms(target.waits), target.grown_bytes / 2**20, target.sent_back
    said = f"{busy / idle:.1f} times idle ({idle:.1f} ms), {len(target.waits)} calls, {back} sent back and made again"
    return [
        at_most(f"a lookup's p99 beside {name}", busy, "ms", P99_MS, said),
        at_most(f"the locator's memory grows by, beside {name}", grown, "MB", GROWN_MB),
    ]


def _p99_ms(waits: list[float]) -> float:
    return sorted(waits)[int(0.99 * len(waits))] * 1000


if __name__ == "__main__":
    sys.exit(main(run, __doc__))
