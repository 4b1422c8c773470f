"""How long `pclient --version` takes, against an empty Python.

`python -m bench.client` prints the rows.
"""

import subprocess
import sys
import time
from functools import partial

from bench.rows import RUNS, Row, at_most, in_turn, main, medians, spread
from demo.processes import environment

TIMES_PYTHON = 8.0


def run(quick: bool = False) -> list[Row]:
    """Both, in turn."""
    commands = {"pclient": ["-m", "pclient", "--version"], "python": ["-c", "pass"]}
    for command in commands.values():
        _milliseconds(command)  # warm: the page cache and the compiled files are for both
    runs = RUNS if quick else RUNS * 4
    measured = in_turn(runs, {name: partial(_milliseconds, command) for name, command in commands.items()})
    found = medians(measured)
    return [
        Row("`pclient --version`", found["pclient"], "ms", note=spread(measured["pclient"], "ms")),
        Row("  `python -c pass`", found["python"], "ms", note=spread(measured["python"], "ms")),
        at_most("  pclient over python", found["pclient"] / found["python"], "x", TIMES_PYTHON),
    ]


def _milliseconds(arguments: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment({}))
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    sys.exit(main(run, __doc__))
