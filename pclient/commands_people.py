"""The part of the command line that is about people: signup, login, logout, whoami, passwd."""

import click

from pclient import people
from pclient.client import Client
from pclient.model import WrongUsage
from pclient.verb import Verb

_FROM_STDIN = click.option(
    "--password-stdin", "from_stdin", is_flag=True, help="Read the password from stdin, for scripts."
)


def _one_user(_context: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> str | None:
    """The user, if one is given. Whatever follows is likely to be a password: it is not repeated. Raises WrongUsage."""
    if len(given) > 1:
        raise WrongUsage("say one USER and no more: a password is asked for, and never part of the command")
    if given and not given[0].strip():
        raise WrongUsage("USER is empty: say which")
    return given[0] if given else None


_USER = click.argument("user", nargs=-1, callback=_one_user, metavar="[USER]")


@click.command(cls=Verb)
@_USER
@_FROM_STDIN
@click.pass_obj
def signup(client: Client, user: str | None, from_stdin: bool) -> None:
    """Make an account at the locator, and log in.

    You are asked for a password, which is not shown. Where signup is closed, an admin makes accounts.
    """
    people.signup(client, user, from_stdin)


@click.command(cls=Verb)
@_USER
@_FROM_STDIN
@click.pass_obj
def login(client: Client, user: str | None, from_stdin: bool) -> None:
    """Log in, until you log out or the session ends.

    You are asked for the password, which is not shown. One account is good at all peers of the network.
    """
    people.login(client, user, from_stdin)


@click.command(cls=Verb)
@click.option("--everywhere", is_flag=True, help="End all your sessions, also at other PServers.")
@click.pass_obj
def logout(client: Client, everywhere: bool) -> None:
    """Log out. Transfers go on at the PServer."""
    people.logout(client, everywhere)


@click.command(cls=Verb)
@click.pass_obj
def whoami(client: Client) -> None:
    """Show who is logged in.

    Off a terminal, a line: user, owner|member|admin, when the session ends (Unix time).
    """
    people.whoami(client)


@click.command(cls=Verb)
@click.option(
    "--password-stdin", "from_stdin", is_flag=True, help="Read two lines from stdin: the old password, the new one."
)
@click.pass_obj
def passwd(client: Client, from_stdin: bool) -> None:
    """Change your password. All your other sessions end."""
    people.passwd(client, from_stdin)


VERBS: tuple[click.Command, ...] = (signup, login, logout, whoami, passwd)
