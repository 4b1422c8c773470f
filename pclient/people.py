"""The commands about who uses the PServer: signup, login, logout, whoami, passwd."""

from collections.abc import Iterator
from contextlib import contextmanager

from pclient import passwords, text
from pclient.client import Client
from pclient.credentials import login_needed
from pclient.model import PClientError, Refused, WrongUsage
from pclient.model_people import LoggedIn, WhoAmI
from pclient.sessions import Session
from pclient.table import Column, Table, word

_OVER = frozenset({"login_required", "no_accounts"})  # at a logout: there is nothing left to end


def signup(client: Client, user: str | None, from_stdin: bool) -> None:
    """Make an account and log in. Raises Refused if that is closed, or the name taken."""
    _check_accounts(client)
    name = _user(client, user, "")
    begun = client.api.signup(name, passwords.chosen(client, f"A password for {name}: ", from_stdin))
    _keep(client, begun, f"{begun['user']} has an account now, and is logged in")


def _check_accounts(client: Client) -> None:
    """Before a password is typed. Raises PClientError where nobody has to log in, and what Api.check_login does."""
    client.api.check_login()
    try:
        has_accounts = client.api.whoami()["accounts"]
    except PClientError:  # most of all: that a login is needed
        return
    if not has_accounts:
        raise PClientError("nobody has to log in: your PServer has no locator in reach with accounts on", "no_accounts")


def login(client: Client, user: str | None, from_stdin: bool) -> None:
    """Log in, in place of who was. Raises Refused."""
    _check_accounts(client)
    name = _user(client, user, _last_user(client))
    password = passwords.known(client, f"Password of {name}: ", from_stdin)
    with _told("there is no such user, the password is wrong, or the account is disabled"):
        begun = client.api.login(name, password)
    _keep(client, begun, f"logged in as {begun['user']}")


def passwd(client: Client, from_stdin: bool) -> None:
    """Change the password: whoever else is logged in with the old one no longer is. Raises Refused."""
    session = client.credentials.session
    if session is None:
        client.api.whoami()  # says what is wrong: a login is needed, or there are no accounts
        raise login_needed(None)
    old = passwords.known(client, f"The old password of {session.user}: ", from_stdin)
    new = passwords.chosen(client, "The new one: ", from_stdin)
    with _told("the old password is wrong: nothing was changed"):
        begun = client.api.change_password(old, new)
    _keep(client, begun, f"{begun['user']} has a new password; all other sessions have ended. Logged in here")


@contextmanager
def _told(wrong: str) -> Iterator[None]:
    """What to say of a wrong password, instead of the locator's words, which cannot know what was asked."""
    try:
        yield
    except Refused as error:
        if error.code != "wrong_login":
            raise
        raise Refused(wrong, error.code) from None


def logout(client: Client, everywhere: bool) -> None:
    """End the session, or all sessions of its person. If that fails, it is kept, to be tried again."""
    session = client.credentials.session
    if session is None and everywhere:
        raise login_needed(None)
    if session is not None:
        _end(client, everywhere)
    if client.talk.as_json:
        client.talk.json({"logged_out": session.user if session is not None else None})
    elif session is None:
        client.talk.say("nobody was logged in")
    else:
        client.talk.say(f"{session.user} is logged out{' everywhere' if everywhere else ''}")


def _end(client: Client, everywhere: bool) -> None:
    try:
        client.api.logout(everywhere)
    except PClientError as error:
        if error.code not in _OVER or everywhere:
            raise
    client.credentials.forget()


def whoami(client: Client) -> None:
    """Print for whom the PServer takes us. For programs: user, role, when the session ends (Unix time)."""
    found = client.api.whoami()
    if client.talk.as_json:
        client.talk.json(found)
    elif client.talk.to_person:
        client.talk.line(_sentence(found))
    else:
        cells = [word(found["user"] or ""), word(found["role"]), word(found["expires"] or "")]
        client.talk.table(Table([Column("")] * 3, [cells], has_header=False))


def _sentence(found: WhoAmI) -> str:
    if found["user"] is None:
        return "the owner of this PServer; nobody has to log in, for it has no locator in reach with accounts on"
    until = f", logged in until {text.unix_time(found['expires'])}" if found["expires"] is not None else ""
    return f"{found['user']} ({found['role']}){until}"


def _user(client: Client, given: str | None, last: str) -> str:
    """Who: as given, or asked. Raises WrongUsage if there is nobody to ask."""
    if given is not None:
        return given
    if not client.talk.can_ask:
        raise WrongUsage("say which USER")
    name = client.talk.ask(f"User [{last}]: " if last else "User: ") or last
    if not name:
        raise PClientError("no user was given")
    return name


def _last_user(client: Client) -> str:
    session = _replaced(client)
    return session.user if session is not None else ""


def _replaced(client: Client) -> Session | None:
    """The session that a new one is to replace; a file of it that cannot be trusted does not stand in its way."""
    try:
        return client.credentials.session
    except Refused:
        return None


def _keep(client: Client, begun: LoggedIn, done: str) -> None:
    """Keep a session that has begun, say so, and end the one before, which nobody could end later."""
    before = _replaced(client)
    client.credentials.keep(Session(begun["session"], begun["user"], begun["role"], begun["expires"]))
    if client.talk.as_json:
        client.talk.json({"user": begun["user"], "role": begun["role"], "expires": begun["expires"]})
    else:
        role = " (admin)" if begun["role"] == "admin" else ""
        client.talk.say(f"{done}{role}, until {text.unix_time(begun['expires'])}")
    if before is not None and before.secret != begun["session"]:
        client.api.end_session(before.secret)
