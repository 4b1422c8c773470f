"""The examination of a PServer, as its client API tells it."""

from typing import TypedDict


class Check(TypedDict):
    """`what` was looked at is ok, warn or fail; `advice`: what to do about it, or ""."""

    what: str
    state: str
    detail: str
    advice: str


class Report(TypedDict):
    """`healthy`: none of the checks fails."""

    healthy: bool
    checks: list[Check]
