"""One target under atheris, which steers by coverage: `python -m tests.abuse.fuzz_process TARGET -max_total_time=10`.

The arguments behind the target are libFuzzer's. Exit status 0 if nothing was found; 77 with the input if something was.
"""

import sys

import atheris

with atheris.instrument_imports(include=["pserver", "protos", "central_server"]):
    from tests.abuse.fuzz_targets import TARGETS


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    name, arguments = sys.argv[1], sys.argv[2:]
    target = TARGETS[name]
    atheris.Setup([sys.argv[0], *arguments], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
