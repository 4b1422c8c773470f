"""Starts a peer: reads the settings, builds the parts, serves until told to stop. The only place that reads the
environment; the parts are put together in `running`.
"""

import argparse
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from dotenv import dotenv_values

from protos.logs import begin_logging
from protos.service import ServiceManager
from pserver import __version__
from pserver.identity import StateFolder, forget_identity
from pserver.model import PServerError
from pserver.running.check import check
from pserver.running.process import Process
from pserver.settings import Settings, WrongSetting, read_settings

_log = logging.getLogger("pserver")


def main() -> int:
    """Run a peer until SIGTERM or SIGINT.

    Exit status: 0 stopped, 1 could not run, 2 wrong settings, 3 another process has taken this peer's place.
    """
    arguments = _arguments()
    try:
        settings = read_settings(_environment(arguments.env_file))
    except (WrongSetting, OSError) as error:
        print(f"pserver: {error}", file=sys.stderr)
        return 2
    if arguments.check:
        lines, is_well = check(settings)
        print(*lines, sep="\n")
        return 0 if is_well else 2
    counts = begin_logging(settings.log_level, settings.log_format)
    for line in settings.warnings:
        _log.warning(line)
    try:
        if arguments.new_identity:
            return _forget_identity(settings)
        return Process(settings, counts, ServiceManager(os.environ)).run()
    except (PServerError, OSError) as error:
        print(f"pserver: {error}", file=sys.stderr)
        return 1


def _forget_identity(settings: Settings) -> int:
    with closing(StateFolder(settings.state_dir)) as state:
        forgotten = forget_identity(state)
    if forgotten:
        print(f"pserver: the key in {settings.state_dir} is put aside; the next start makes a new one")
    else:
        print(f"pserver: there was no key in {settings.state_dir}; the next start makes one")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pserver", description="A peer: shares a folder with its network.")
    parser.add_argument("--env-file", metavar="FILE", help="read settings from FILE (default: .env, if there is one)")
    parser.add_argument(
        "--new-identity",
        action="store_true",
        help="put the key and the client token aside, so that the next start makes new ones, and exit; for a copy of"
        " a machine: two peers cannot have one key",
    )
    parser.add_argument("--check", action="store_true", help="say what would be used, and what is wrong, and exit")
    parser.add_argument("--version", action="version", version=f"pserver {__version__}")
    return parser.parse_args()


def _environment(env_file: str | None) -> Mapping[str, str]:
    """The environment, and beneath it what the file of settings says."""
    path = Path(env_file or ".env")
    if env_file and not path.is_file():
        raise WrongSetting(f"--env-file: there is no file {env_file}")
    said = {name: value for name, value in dotenv_values(path).items() if value is not None}
    return said | dict(os.environ)


if __name__ == "__main__":
    sys.exit(main())
