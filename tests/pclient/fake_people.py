"""The fake PServer's people: accounts, sessions, and the copies that their uploads have placed at other peers."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.pclient.fake_pserver import Problem, hex_id
from tests.pclient.fake_tus import TusHandler

EXPIRES = 1_800_000_000


@dataclass
class Placed:
    """A copy of a file at a peer, placed by an upload of a user."""

    name: str
    file_id: str
    user: str
    peer: str
    away: bool = False


@dataclass
class FakePeople:
    """The accounts of a locator. `wait`: seconds that a login is refused for, having come too often.

    `away`: no locator is in reach, so that nobody knows whose a session is, and the token counts.
    """

    passwords: dict[str, str] = field(default_factory=dict)
    admins: set[str] = field(default_factory=set)
    sessions: dict[str, str] = field(default_factory=dict)  # secret -> user
    signup_open: bool = True
    wait: int = 0
    away: bool = False
    placed: list[Placed] = field(default_factory=list)
    made: int = 0  # sessions

    def begin(self, user: str) -> dict[str, Any]:
        """A new session, as it is told."""
        self.made += 1
        secret = f"p2ps_{hex_id(f'session {self.made}')[:43]}"
        self.sessions[secret] = user
        return {"session": secret, "user": user, "role": self.role(user), "expires": EXPIRES}

    def role(self, user: str) -> str:
        return "admin" if user in self.admins else "member"

    def end_all(self, user: str) -> None:
        self.sessions = {secret: whose for secret, whose in self.sessions.items() if whose != user}

    def drop(self, user: str, file_id: str) -> dict[str, Any]:
        meant = [one for one in self.placed if one.file_id == file_id and (user == one.user or user in self.admins)]
        self.placed = [one for one in self.placed if one not in meant]
        present = [one.peer for one in meant if not one.away]
        return {"ordered_present": present, "ordered_away": len(meant) - len(present)}


class PeopleHandler(TusHandler):
    """What the fake PServer answers to and about people."""

    @property
    def _people(self) -> FakePeople:
        if self.fake.people is None:
            raise Problem(404, "no_accounts", "the locator has accounts off")
        return self.fake.people

    @property
    def _secret(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    @property
    def _user(self) -> str:
        return self._people.sessions[self._secret]

    def authorize(self) -> None:
        """See TusHandler: with accounts on it takes a session, and no token."""
        public = self.url.path in {"/healthz", "/client/v1/signup", "/client/v1/login"}
        if self.fake.people is not None and self.fake.people.away and self._secret.startswith("p2ps_"):
            raise Problem(503, "unavailable", "whose session it is cannot be asked: no locator answers")
        if public or self.fake.people is None or self.fake.people.away:
            assert not public or "Authorization" not in self.headers, "a public request proves nothing"
            if not public:
                super().authorize()
        elif self._secret not in self.fake.people.sessions:
            raise Problem(401, "login_required", "log in first")

    def _asked(self) -> dict[str, Any]:
        assert self.headers["Content-Type"] == "application/json"
        return dict(json.loads(self.body))

    def signup(self, _rest: str) -> None:
        people, asked = self._people, self._asked()
        if not people.signup_open:
            raise Problem(403, "signup_closed", "signup is closed: ask an admin for an account")
        if asked["user"] in people.passwords:
            raise Problem(409, "user_taken", f"the name {asked['user']} is taken")
        people.passwords[asked["user"]] = asked["password"]
        self.json(people.begin(asked["user"]), 201)

    def login(self, _rest: str) -> None:
        people, asked = self._people, self._asked()
        if people.wait:
            body = json.dumps({"code": "slow_down", "detail": "too many tries"}).encode()
            headers = {"Content-Type": "application/problem+json", "Retry-After": str(people.wait)}
            return self.answer(429, body, headers)
        if people.passwords.get(asked["user"]) != asked["password"]:
            raise Problem(401, "wrong_login", "there is no such user, or the password is wrong")
        return self.json(people.begin(asked["user"]))

    def password(self, _rest: str) -> None:
        people, asked, user = self._people, self._asked(), self._user
        if people.passwords[user] != asked["old"]:
            raise Problem(401, "wrong_login", "the old password is wrong")
        people.passwords[user] = asked["new"]
        people.end_all(user)
        self.json(people.begin(user))

    def logout(self, _rest: str) -> None:
        user = self._user
        if self._asked()["everywhere"]:
            self._people.end_all(user)
        else:
            del self._people.sessions[self._secret]
        self.answer(204)

    def whoami(self, _rest: str) -> None:
        if self.fake.people is None:
            return self.json({"accounts": False, "user": None, "role": "owner", "expires": None})
        user, role = self._user, self._people.role(self._user)
        return self.json({"accounts": True, "user": user, "role": role, "expires": EXPIRES})

    def drops(self, _rest: str) -> None:
        what = self._asked()["what"]
        placed = {one.file_id for one in self._people.placed if one.name == what}
        known = {one.file_id: one.group() for one in self.fake.find(what)}
        found = [what.removeprefix("id:")] if what.startswith("id:") else sorted(placed | set(known))
        if not found:
            raise Problem(404, "not-found", f"no peer that could be asked has {what}")
        if len(found) > 1:
            choices = [known[one] for one in found]
            raise Problem(409, "ambiguous", f"{len(found)} different files are called {what}", choices=choices)
        self.json({"file_id": found[0], **self._people.drop(self._user, found[0])})

    def remove_everywhere(self, name: str) -> None:
        """The own copy, and those that the user's uploads have placed."""
        ordered = self._people.drop(self._user, hex_id(self.fake.share.pop(name)))
        self.json({"removed": True, **ordered})
