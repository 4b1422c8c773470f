"""Where passwords come from: typed unseen on a terminal, or for scripts a line each from stdin. Never an argument."""

from pclient.client import Client
from pclient.model import PClientError, WrongUsage

FEWEST, MOST = 8, 256  # characters, as the locator has it
_MOST_READ = 4096


def known(client: Client, question: str, from_stdin: bool) -> str:
    """A password that exists already. Raises WrongUsage, or PClientError if none is given."""
    password = _from_stdin(client) if from_stdin else _typed(client, question)
    if not password:
        raise PClientError("no password was given")
    return password


def chosen(client: Client, question: str, from_stdin: bool) -> str:
    """A new password, typed twice until it is good and both are the same. Raises as `known`, and for a bad one."""
    if from_stdin:
        password = known(client, question, from_stdin=True)
        if wrong := _wrong(password):
            raise WrongUsage(wrong)
        return password
    while True:
        password = known(client, question, from_stdin=False)
        wrong = _wrong(password)
        if not wrong and _typed(client, "The same again: ") == password:
            return password
        client.talk.say(wrong or "these were not the same; once more, or Enter to leave it")


def _wrong(password: str) -> str:
    return "" if FEWEST <= len(password) <= MOST else f"a password has {FEWEST} to {MOST} characters; choose another"


def _typed(client: Client, question: str) -> str:
    if not client.talk.can_ask:
        raise WrongUsage("nobody is there to type a password; a script gives it on stdin, with --password-stdin")
    return _checked(client.talk.ask_secret(question))


def _from_stdin(client: Client) -> str:
    if client.stdin.isatty():
        raise WrongUsage("stdin is a terminal, which would show the password: leave --password-stdin out to be asked")
    line = client.stdin.readline(_MOST_READ)
    return _checked(line.removesuffix("\n").removesuffix("\r"))


def _checked(password: str) -> str:
    try:
        password.encode()
    except UnicodeEncodeError:
        raise WrongUsage("the password is not valid UTF-8") from None
    return password
