"""What an examination of this peer found, a line a thing. Pure."""

from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was looked at and is ok, warn (it works, but) or fail (something does not); `advice`: what to do."""

    what: str
    state: str
    detail: str
    advice: str = ""
