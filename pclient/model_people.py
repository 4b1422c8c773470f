"""The values of the client API that are about people, as they arrive. See model.py."""

from typing import NotRequired, TypedDict


class LoggedIn(TypedDict):
    """A session that has begun. `role`: "member" or "admin"; `expires`: Unix time."""

    session: str
    user: str
    role: str
    expires: int


class WhoAmI(TypedDict):
    """For whom the PServer takes us: a person, or (then without a user) its owner, by the client token."""

    accounts: bool
    user: str | None
    role: str
    expires: int | None


class Dropped(TypedDict):
    """What was removed everywhere. `ordered_present`: peers that hear of it now; `ordered_away`: how many later."""

    removed: NotRequired[bool]
    file_id: NotRequired[str]
    ordered_present: list[str]
    ordered_away: int
