"""A downloading process to be killed: `python -m tests.pserver.download_victim ROOT TRANSFER`. Resumes and goes on."""

import sys
from pathlib import Path

from tests.pserver.download_lab import Lab

if __name__ == "__main__":
    with Lab(Path(sys.argv[1])) as lab:
        print("resumed", flush=True)
        lab.wait(sys.argv[2], "done", seconds=60)
