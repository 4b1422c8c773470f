"""The network key: what admits peers, so it must not be guessed. Both tiers refuse a weak one at their start."""

import re
import secrets
from itertools import pairwise

MIN_BYTES = 32
_LEAST_DIFFERENT = 8  # a random key of 32 hex digits has fewer once in some ten million times
# What stands in examples and templates, wherever it stands; the last ones only at the beginning.
_DEFAULT = re.compile(
    r"change.?me|replace.?(me|this)|your.?(network.?)?key|insert.?(your|key|here)|not.?a.?secret|default.?key"
    r"|^(my|the|a|your|our)?.?(example|sample|test.?key|secret|password|passw0rd|network.?key|p2p.?network|letmein|qwerty)",
    re.IGNORECASE,
)
ADVICE = "make one with: central-server keygen FILE, or openssl rand -hex 32"


def new_key() -> str:
    """A key as text: 32 random bytes in hex."""
    return secrets.token_hex(32)


def weakness(key: bytes) -> str | None:
    """What is wrong with a key, as the end of a sentence ("… gives a key that …"), without telling it; None: nothing.

    Finds what people type and copy. It cannot tell whether a good-looking key is a secret.
    """
    if len(key) < MIN_BYTES:
        return f"has {len(key)} bytes instead of {MIN_BYTES} or more"
    if _DEFAULT.search(key.decode("utf-8", "replace")):
        return "is an example, not a secret"
    if len(set(key)) < _LEAST_DIFFERENT:
        return f"has only {len(set(key))} different characters"
    if _repeats(key):
        return "repeats itself"
    if _runs(key):
        return "is a row of neighbouring characters"
    return None


def _repeats(key: bytes) -> bool:
    """Whether it is a shorter text written twice or more often, the last time perhaps in part."""
    return any(key[period:] == key[:-period] for period in range(1, len(key) // 2 + 1))


def _runs(key: bytes) -> bool:
    """Whether most characters follow the one before, as in 0123456789… or zyxwv…"""
    steps = [abs(after - before) <= 1 for before, after in pairwise(key)]
    return sum(steps) > 0.75 * len(steps)
