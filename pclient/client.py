"""What every command is given: the API, the person, what was seen so far, and the time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from pclient.api import Api
from pclient.credentials import Credentials
from pclient.model import PClientError
from pclient.seen import Seen
from pclient.talk import Talk


@dataclass(slots=True)
class Client:
    """`clock` in seconds, monotonic; `wait` sleeps that many. `in_shell`: more commands may follow.

    `background`: ids of transfers that the person has begun and not yet seen the end of.
    """

    api: Api
    credentials: Credentials
    talk: Talk
    stdin: TextIO
    history_file: Path
    clock: Callable[[], float]
    wait: Callable[[float], None]
    debug: bool = False
    in_shell: bool = False
    seen: Seen = field(default_factory=Seen)
    background: set[str] = field(default_factory=set)
    _own_id: str = ""

    @property
    def user(self) -> str | None:
        """Who is logged in, as far as is known without asking; None also if that cannot be read."""
        try:
            return self.credentials.user
        except PClientError:
            return None

    def command(self, words: str) -> str:
        """How to type a command here."""
        return words if self.in_shell else f"pclient {words}"

    def own_id(self) -> str:
        """The peer id of the own PServer, which it is asked for once."""
        self._own_id = self._own_id or self.api.status()["peer"]["peer_id"]
        return self._own_id
