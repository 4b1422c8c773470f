"""What `central-server` does besides running the server: making a network key, and tending accounts.

Accounts are tended while the server runs: both use the same database. Disabling and resetting end sessions, which
peers notice within ten seconds.
"""

import argparse
import contextlib
import getpass
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from central_server.account_store import AccountStore
from central_server.accounts import add_user, folded, new_password
from central_server.accounts_sqlite import SQLiteAccounts
from central_server.passwords import Passwords
from central_server.people import User
from protos.network_key import new_key


class Refused(Exception):
    """The command cannot do that: the message says why."""


_Commands = argparse._SubParsersAction  # which argparse gives no public name


def add_command(commands: "_Commands[argparse.ArgumentParser]", name: str, told: str) -> argparse.ArgumentParser:
    """A command that says the same of itself in the list of commands and in its own help."""
    return commands.add_parser(name, help=told, description=f"{told[0].upper()}{told[1:]}.")


def add_keygen(commands: "_Commands[argparse.ArgumentParser]") -> None:
    """The words of `keygen`."""
    keygen = add_command(commands, "keygen", "make a network key")
    told = "written readable by you only, never over another file (default: print it)"
    keygen.add_argument("file", nargs="?", metavar="FILE", type=Path, help=told)


def add_user_commands(commands: "_Commands[argparse.ArgumentParser]") -> None:
    """The words of `user`."""
    user = add_command(commands, "user", "tend the accounts, also while the server runs")
    verbs = user.add_subparsers(dest="verb", metavar="VERB", required=True)
    add = add_command(verbs, "add", "make an account; asks for its password (8 characters or more)")
    add_command(verbs, "list", "list the accounts: name, role, state, since when")
    disable = add_command(verbs, "disable", "let nobody log in with it any more; ends its sessions")
    enable = add_command(verbs, "enable", "let its person log in again")
    reset = add_command(verbs, "reset", "give it another password; ends its sessions")
    for each in (add, disable, enable, reset):
        each.add_argument("name")
    add.add_argument("--admin", action="store_true", help="it may drop what anybody's uploads placed")
    for each in (add, reset):
        each.add_argument("--password-stdin", action="store_true", help="read the password from standard input")


def keygen(path: Path | None) -> None:
    """Write a new network key to `path`, or to stdout. Refused: something is there, or cannot be."""
    if path is None:
        print(new_key())  # noqa: T201  # it was asked for
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{new_key()}\n")
            file.flush()
            os.fsync(descriptor)
    except FileExistsError:
        raise Refused(f"{path} is there already, and is left as it is") from None
    except OSError as error:
        raise Refused(f"cannot write {path}: {error.strerror}") from None


async def tend(asked: argparse.Namespace, path: Path, now: float) -> list[str]:
    """Do what a `user` command asks with the accounts in `path`; the lines to print.

    Refused, CannotOpen, LocatorError.
    """
    store = SQLiteAccounts(path)
    async with contextlib.AsyncExitStack() as closing:
        closing.push_async_callback(store.close)
        match asked.verb:
            case "add":
                return await _add(store, asked, now)
            case "list":
                return [_line(user) for user in await store.users()]
            case "reset":
                return await _reset(store, asked)
            case _:
                return await _set_disabled(store, asked.name, disabled=asked.verb == "disable")


async def _add(store: AccountStore, asked: argparse.Namespace, now: float) -> list[str]:
    name = folded(asked.name)
    password = new_password(_password(asked))
    with contextlib.closing(Passwords()) as passwords:
        await add_user(store, passwords, name, password, role="admin" if asked.admin else "member", now=now)
    return [f"{name} can log in"]


async def _reset(store: AccountStore, asked: argparse.Namespace) -> list[str]:
    name = await _known(store, asked.name)
    password = new_password(_password(asked))
    with contextlib.closing(Passwords()) as passwords:
        hashed = await passwords.hash(password)
    await store.set_password(name, hashed, keep_sessions=False)
    return [f"{name} has another password, and no session any more"]


async def _set_disabled(store: AccountStore, name: str, *, disabled: bool) -> list[str]:
    name = await _known(store, name)
    await store.set_disabled(name, disabled=disabled)
    return [f"{name} is {'disabled, and has no session any more' if disabled else 'enabled'}"]


async def _known(store: AccountStore, name: str) -> str:
    found = await store.user(folded(name))
    if found is None:
        raise Refused(f"there is no account {folded(name)}")
    return found.name


def _password(asked: argparse.Namespace) -> str:
    """From stdin if asked for, else from the terminal, twice."""
    if asked.password_stdin:
        try:
            return sys.stdin.buffer.readline().decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise Refused("the password is not UTF-8") from None
    if not sys.stdin.isatty():
        raise Refused("there is no terminal to ask for the password: use --password-stdin")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise Refused("the two passwords differ")
    return password


def _line(user: User) -> str:
    since = datetime.fromtimestamp(user.created, UTC).strftime("%Y-%m-%d")
    return f"{user.name}\t{user.role}\t{'disabled' if user.disabled else 'enabled'}\t{since}"
