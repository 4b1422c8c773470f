"""The central server: settings, store, rules, server, put together from top to bottom.

The only place that reads the environment. Exit codes: 0 stopped as asked, 1 cannot run, 2 wrong setting or usage.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import resource
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dotenv import dotenv_values

from central_server import __version__
from central_server.account_rpc import AccountService, People
from central_server.accounts import Accounts
from central_server.accounts_sqlite import SQLiteAccounts
from central_server.certificates import DAYS, CannotMake, Wanted, make_certificates
from central_server.check import check
from central_server.commands import Refused, add_command, add_keygen, add_user_commands, keygen, tend
from central_server.dialback import Dialback
from central_server.identity import NoKey, load_or_make_key
from central_server.locator import Locator, Terms
from central_server.model import LocatorError
from central_server.passwords import Passwords
from central_server.placements import Placements
from central_server.rpc import Service
from central_server.server import Observe, Server
from central_server.settings import Settings, WrongSetting, read_settings
from central_server.store_sqlite import CannotOpen, SQLiteStore
from central_server.tls import UnusableTls, server_credentials
from central_server.wellbeing import Wellbeing
from protos.addresses import AddressPolicy
from protos.logs import LogCounts, begin_logging
from protos.service import ServiceManager
from protos.tokens import LOCATOR_AUDIENCE, Issuer, Verifier

_DRAIN_SECONDS = 5.0
_TICK_SECONDS = 1.0
_BUSY_TICK_SECONDS = 0.02  # while there is space to free
# How long one thread may keep the interpreter from another. A tenth of a millisecond (Python's default is five) keeps
# searches and announces in their threads from holding up lookups on the event loop.
_SWITCH_SECONDS = 0.0001
_COLLECT_AFTER = 50_000  # new objects; a batch of files makes 2,000, none of them in a cycle
_log = logging.getLogger("central_server")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code."""
    asked = _parser().parse_args(arguments)
    if asked.command == "certs":
        return _certs(asked)
    if asked.command == "keygen":
        return _keygen(asked.file)
    try:
        settings = read_settings(_environment(asked.env_file))
    except WrongSetting as error:
        return _fail(str(error), 2)
    if asked.command == "user":
        return _tend(asked, settings)
    if asked.check:
        lines, is_well = check(settings)
        print(*lines, sep="\n")
        return 0 if is_well else 2
    counts = begin_logging(settings.log_level, settings.log_format)
    for line in settings.warnings:
        _log.warning(line)
    tune()
    try:
        asyncio.run(_run(settings, counts))
    except (CannotOpen, NoKey, UnusableTls, OSError) as error:
        return _fail(str(error), 1)
    return 0


def tune() -> None:
    """Set the interpreter up for many short calls beside a few long ones."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.freeze()  # what the imports made is never looked at again: collections stay short
    gc.set_threshold(_COLLECT_AFTER, 20, 100)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # a connection is a descriptor; the usual limit is 1,024
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _run(settings: Settings, counts: LogCounts) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    clock = _Clock()
    credentials = server_credentials(settings.tls, lambda: datetime.now(UTC)) if settings.tls else None
    issuer = Issuer(load_or_make_key(settings.state_dir), settings.network_key)
    policy = AddressPolicy(own_loopback=settings.on_loopback, allowed=settings.allowed_networks)
    terms = Terms(settings.lease_seconds, settings.grace_seconds, settings.max_files_per_peer)
    started = clock()
    store = SQLiteStore(settings.store, revived_until=started + terms.grace)
    dialback = Dialback(issuer, settings.network_key, policy, ca_file=settings.ca_file)
    locator = Locator(store, dialback, terms, started)
    verifier = Verifier(LOCATOR_AUDIENCE, settings.network_key)
    observe, shown = _show_metrics(settings, locator, store, counts)
    peopled = contextlib.AsyncExitStack()
    people = await peopled.enter_async_context(_people(settings, store, issuer))
    server = Server(
        Service(locator, issuer.peer_id, people.placements if people else None),
        verifier,
        clock,
        limits=settings.limits,
        credentials=credentials,
        accounts=AccountService(people),
        observe=observe,
    )
    wellbeing = Wellbeing(ServiceManager(os.environ), store)
    sweeper = asyncio.create_task(_sweep(locator, wellbeing, clock))
    try:
        port = await server.start(settings.host, settings.port)
        _log.info("listening on %s:%d", settings.host, port)
        wellbeing.begin(clock(), f"{settings.host}:{port}")
        await stopped.wait()
        _log.info("stopping")
        wellbeing.end(_DRAIN_SECONDS)
    finally:
        await server.stop(_DRAIN_SECONDS)
        sweeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeper
        shown.close()
        dialback.close()
        await peopled.aclose()
        await store.close()


def _show_metrics(
    settings: Settings, locator: Locator, store: SQLiteStore, counts: LogCounts
) -> tuple[Observe, contextlib.ExitStack]:
    """Listen for Prometheus if the settings say where: what is to be told of each call, and what ends the listening."""
    shown = contextlib.ExitStack()
    if settings.metrics_listen is None:
        return (lambda _rpc, _status, _seconds: None), shown
    from central_server.metrics import LocatorMetrics, Watched  # most run without
    from protos.scrape import Scrape

    def writes() -> tuple[int, int, float]:
        waiting, written = store.writing()
        return waiting, written.groups, written.seconds

    metrics = LocatorMetrics(Watched(__version__, locator.tally, writes, counts.counts))
    scrape = Scrape(metrics.registry, *settings.metrics_listen)
    shown.callback(scrape.close)
    _log.info("metrics on http://%s:%d/metrics", settings.metrics_listen[0], scrape.port)
    return metrics.observe, shown


@contextlib.asynccontextmanager
async def _people(settings: Settings, store: SQLiteStore, issuer: Issuer) -> AsyncIterator[People | None]:
    """Accounts, if the settings turn them on. CannotOpen."""
    if settings.accounts is None:
        yield None
        return
    kept, passwords = SQLiteAccounts(settings.accounts_store), Passwords()
    try:
        decoy = await passwords.hash(secrets.token_urlsafe())
        accounts = Accounts(kept, passwords, settings.accounts, decoy)
        yield People(accounts, Placements(kept, accounts, store.member, await kept.targets()), issuer)
    finally:
        passwords.close()
        await kept.close()


async def _sweep(locator: Locator, wellbeing: Wellbeing, clock: Callable[[], float]) -> None:
    """Tick for ever; an error is logged and tried again."""
    while True:
        more = False
        try:
            more = await locator.tick(clock())
            await wellbeing.tick(clock())
        except Exception:
            _log.exception("sweeping failed")
        await asyncio.sleep(_BUSY_TICK_SECONDS if more else _TICK_SECONDS)


class _Clock:
    """Unix time when made, then steady: setting the machine's clock neither ends leases nor lengthens them."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        return self._offset + time.monotonic()


def _environment(env_file: str | None) -> Mapping[str, str]:
    """The environment, and below it the file: `.env` in the current folder if none is named."""
    if env_file is not None and not os.access(env_file, os.R_OK):
        raise WrongSetting(f"--env-file is {env_file!r}, which cannot be read")
    try:
        found = dotenv_values(env_file or ".env")
    except (OSError, ValueError) as error:
        raise WrongSetting(f"the settings in {env_file or '.env'!r} cannot be read: {error}") from None
    return {**{name: value for name, value in found.items() if value is not None}, **os.environ}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="central-server", description="The locator: who is here, who has what.")
    parser.add_argument("--env-file", metavar="FILE", help="read settings from FILE (default: .env, if there is one)")
    parser.add_argument("--check", action="store_true", help="say what would be used, and what is wrong, and exit")
    parser.add_argument("--version", action="version", version=f"central-server {_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands (none: run the server)")
    certs = add_command(commands, "certs", "make certificates for TLS, and a CA that signs them")
    certs.add_argument("folder", type=Path, metavar="DIR", help="where they are written; a CA that is there is used")
    certs.add_argument("--host", action="append", default=[], help="a name or address of the locator; may be repeated")
    certs.add_argument("--client", action="append", default=[], metavar="NAME", help="a peer; may be repeated")
    certs.add_argument("--days", type=int, default=DAYS, help=f"how long they are good (default {DAYS})")
    add_keygen(commands)
    add_user_commands(commands)
    return parser


def _certs(asked: argparse.Namespace) -> int:
    try:
        written = make_certificates(asked.folder, Wanted(asked.host, asked.client, asked.days), datetime.now(UTC))
    except CannotMake as error:
        return _fail(str(error), 1)
    for path in written:
        print(path)
    return 0


def _keygen(path: Path | None) -> int:
    try:
        keygen(path)
    except Refused as error:
        return _fail(str(error), 1)
    return 0


def _tend(asked: argparse.Namespace, settings: Settings) -> int:
    try:
        lines = asyncio.run(tend(asked, settings.accounts_store, time.time()))
    except (Refused, CannotOpen, LocatorError) as error:
        return _fail(str(error), 1)
    for line in lines:
        print(line)
    if settings.accounts is None:
        print(
            "note: LOCATOR_ACCOUNTS is not on in these settings; a locator heeds accounts only where it is",
            file=sys.stderr,
        )
    return 0


def _version() -> str:
    try:
        return version("p2p-file-sharing-suite")
    except PackageNotFoundError:  # run from a copy of the sources
        return "(not installed)"


def _fail(message: str, code: int) -> int:
    print(f"central-server: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
