"""The session of the person who is logged in at a PServer, kept on this machine: one file for each PServer's URL.

A session is as good as a password until it ends, so the file is its owner's only (0600, in a folder with 0700), and
is replaced in one step: a crash leaves the old one or the new one.
"""

import hashlib
import json
import os
import re
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

from pclient.model import PClientError, Refused

_MAX_BYTES = 4096
_SESSION = re.compile(r"p2ps_[A-Za-z0-9_-]{43}")
_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def is_session(text: str) -> bool:
    """Whether it has the form of a session."""
    return _SESSION.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Session:
    """Who is logged in: `secret` proves it; `role` is "member" or "admin"; it ends at `expires` (Unix time)."""

    secret: str
    user: str
    role: str
    expires: int

    def __repr__(self) -> str:
        """Without the secret: what is shown of an error must not hold it."""
        return f"Session(user={self.user!r}, role={self.role!r})"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the file held: a session or None, and what the person should be told of the file ("": nothing)."""

    session: Session | None
    warning: str = ""


class SessionFile:
    """The file in `folder` for the PServer at `url`."""

    def __init__(self, folder: Path, url: str) -> None:
        self._url = url.lower()
        self.path = folder / f"{hashlib.sha256(self._url.encode()).hexdigest()[:32]}.json"

    def read(self) -> Kept:
        """The session kept. Raises Refused, with words that help, for a file that cannot be trusted or read.

        A file that others can read is made private, which is told. One that holds no session counts as none.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        except FileNotFoundError:
            return Kept(None)
        except OSError as error:
            raise Refused(f"cannot read your session {self.path}: {error.strerror}. {_WAY_OUT}") from None
        with open(descriptor, "rb") as file:
            warning = self._mended(descriptor)
            content = file.read(_MAX_BYTES + 1)
        session = _parsed(content, self._url)
        return Kept(session, warning if session else f"{self.path} holds no session: it counts as logged out")

    def _mended(self, descriptor: int) -> str:
        """Make sure that the open file is ours alone; what to tell of it. Raises Refused."""
        if os.name == "nt":  # there the folder of a user is their own, and modes say nothing
            return ""
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in {os.geteuid(), 0}:
            raise Refused(f"{self.path}, where your session is kept, is not your file. {_WAY_OUT}")
        if not found.st_mode & _OF_OTHERS:
            return ""
        try:
            os.fchmod(descriptor, 0o600)
        except OSError as error:
            raise Refused(f"others can read your session {self.path} ({error.strerror}). {_WAY_OUT}") from None
        return (
            "other users could read the file of your session. It is private again; if you do not trust them, "
            "end all your sessions: pclient logout --everywhere"
        )

    def write(self, session: Session) -> None:
        """Keep `session` instead of what was kept. Raises PClientError."""
        content = json.dumps({"url": self._url, **asdict(session)}).encode()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._replace(content)
        except OSError as error:
            raise PClientError(f"cannot keep your session in {self.path}: {error.strerror}") from None

    def _replace(self, content: bytes) -> None:
        import tempfile  # only a login needs it, and the client starts often

        descriptor, made = tempfile.mkstemp(dir=self.path.parent, prefix=".session-")  # 0600 from its first moment
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            Path(made).replace(self.path)
        except BaseException:
            Path(made).unlink(missing_ok=True)
            raise

    def forget(self) -> None:
        """Keep none any more. Raises PClientError."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise PClientError(f"cannot delete your session {self.path}: {error.strerror}") from None


_WAY_OUT = "Delete it, then log in again: pclient login"


def _parsed(content: bytes, url: str) -> Session | None:
    try:
        read = json.loads(content)
        session = Session(str(read["secret"]), str(read["user"]), str(read["role"]), int(read["expires"]))
        return session if read["url"] == url and is_session(session.secret) else None
    except (ValueError, KeyError, TypeError):
        return None
