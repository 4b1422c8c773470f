"""A PServer on a kernel without openat2, and without renameat2: run as a module, as `python -m pserver` is."""

import sys
from unittest.mock import patch

from pserver.__main__ import main
from pserver.disk.kernel import NotSupported


def _lacking() -> bool:
    return False


def _refuse(*_: object) -> None:
    raise NotSupported


if __name__ == "__main__":
    with (
        patch("pserver.disk.folder.has_open_beneath", _lacking),
        patch("pserver.disk.place.rename_without_replacing", _refuse),
    ):
        sys.exit(main())
