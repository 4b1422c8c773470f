"""How long machines look for faults: 10 seconds a target, or FUZZ_SECONDS. No tests here."""

import os

FUZZ_SECONDS = int(os.environ.get("FUZZ_SECONDS", "10"))
