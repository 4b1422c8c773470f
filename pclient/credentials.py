"""What proves to the own PServer who we are: the session of the person logged in, or else the client token."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pclient.model import Refused
from pclient.sessions import Session, SessionFile


@dataclass(slots=True, repr=False)  # what is shown of an error must hold no secret
class Credentials:
    """Read when they are first needed, and once. `read_token` raises Refused; `warn` tells the person something."""

    file: SessionFile
    read_token: Callable[[], str]
    warn: Callable[[str], None]
    _session: Session | None = None
    _is_read: bool = False
    _ended: set[str] = field(default_factory=set)  # the sessions that the PServer did not accept
    _token: str | None = None
    _prefers_token: bool = False

    @property
    def session(self) -> Session | None:
        """The session kept for this PServer. Raises Refused if its file cannot be trusted."""
        if not self._is_read:
            self._reread()
        return self._session

    @property
    def user(self) -> str | None:
        """Who is logged in, as far as is known without asking."""
        session = self.session
        return session.user if session is not None and session.secret not in self._ended else None

    def keep(self, session: Session) -> None:
        """Someone logged in. Raises PClientError if it cannot be written down; it is used all the same."""
        self._session, self._is_read, self._prefers_token = session, True, False
        self.file.write(session)

    def forget(self) -> None:
        """Nobody is logged in any more."""
        self._session, self._is_read = None, True
        self.file.forget()

    def proofs(self) -> Iterator[str]:
        """What to show, one after another until one is accepted.

        1. The token, if of late it was what was accepted. 2. The session. 3. The session that another client has put
        in its place meanwhile (a new login, a new password). 4. The token: it counts while accounts are off, or no
        locator is in reach.
        Raises Refused, at the end, if there is no token to show.
        """
        if self._prefers_token and self._token is not None:
            yield self._token
        before = self.session
        if before is not None:
            yield before.secret
            self._reread()
            if self._session is not None and self._session.secret != before.secret:
                yield self._session.secret
        if not self._prefers_token:
            self._token = self._token or self.read_token()
            yield self._token

    def accepted(self, proof: str) -> None:
        """The PServer took this one."""
        self._prefers_token = proof == self._token
        self._ended.discard(proof)

    def refused(self, proof: str) -> None:
        """The PServer did not take this one."""
        self._ended.add(proof)

    def _reread(self) -> None:
        kept = self.file.read()
        self._session, self._is_read = kept.session, True
        if kept.warning:
            self.warn(kept.warning)


def login_needed(user: str | None) -> Refused:
    """What to tell someone whom the PServer asks to log in; `user` had a session."""
    if user is not None:
        return Refused(f"the session of {user} has ended: log in again with `pclient login`", "login_required")
    return Refused(
        "nobody is logged in: log in with `pclient login`, or make an account with `pclient signup`", "login_required"
    )
