"""The central server: settings, store, rules, server, put together from top to bottom.

The only place that reads the environment. Exit codes: 0 stopped as asked, 1 cannot run, 2 wrong setting or usage.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from dotenv import dotenv_values

from central_server.dialback import Dialback
from central_server.identity import NoKey, load_or_make_key
from central_server.locator import Locator, Terms
from central_server.rpc import Server, Service
from central_server.settings import Settings, WrongSetting, read_settings
from central_server.store_sqlite import CannotOpen, SQLiteStore
from protos.addresses import AddressPolicy
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
    try:
        settings = read_settings(_environment(asked.env_file))
    except WrongSetting as error:
        return _fail(str(error), 2)
    logging.basicConfig(
        level=settings.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for line in settings.warnings:
        _log.warning(line)
    tune()
    try:
        asyncio.run(_run(settings))
    except (CannotOpen, NoKey, OSError) as error:
        return _fail(str(error), 1)
    return 0


def tune() -> None:
    """Set the interpreter up for many short calls beside a few long ones."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.freeze()  # what the imports made is never looked at again: collections stay short
    gc.set_threshold(_COLLECT_AFTER, 20, 100)


async def _run(settings: Settings) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    clock = _Clock()
    issuer = Issuer(load_or_make_key(settings.state_dir), settings.network_key)
    policy = AddressPolicy(own_loopback=settings.on_loopback, allowed=settings.allowed_networks)
    terms = Terms(settings.lease_seconds, settings.grace_seconds, settings.max_files_per_peer)
    started = clock()
    store = SQLiteStore(settings.store, revived_until=started + terms.grace)
    dialback = Dialback(issuer, settings.network_key, policy)
    locator = Locator(store, dialback, terms, started)
    server = Server(Service(locator, issuer.peer_id), Verifier(LOCATOR_AUDIENCE, settings.network_key), clock)
    sweeper = asyncio.create_task(_sweep(locator, clock))
    try:
        port = await server.start(settings.host, settings.port)
        _log.info("listening on %s:%d", settings.host, port)
        await stopped.wait()
        _log.info("stopping")
    finally:
        await server.stop(_DRAIN_SECONDS)
        sweeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeper
        dialback.close()
        await store.close()


async def _sweep(locator: Locator, clock: Callable[[], float]) -> None:
    """Tick for ever; an error is logged and tried again."""
    while True:
        more = False
        try:
            more = await locator.tick(clock())
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
    parser.add_argument("--version", action="version", version=f"central-server {_version()}")
    return parser


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
