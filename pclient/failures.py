"""What a person is told when something failed, in one line, and the exit code. The one place for both."""

import traceback

import click

from pclient.model import PClientError
from pclient.talk import Talk

INTERRUPTED = 130  # 128 + SIGINT, as a shell has it
BROKEN_PIPE = 141  # 128 + SIGPIPE


def tell(error: BaseException, talk: Talk, debug: bool) -> int:
    """Say what went wrong; the exit code. `debug`: show where an unknown error came from."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE  # whoever read has enough: nothing to say
    if isinstance(error, KeyboardInterrupt | click.Abort):
        talk.say("interrupted")
        return INTERRUPTED
    if isinstance(error, PClientError):
        talk.say(str(error)) if error.exit_code == INTERRUPTED else talk.error(str(error))
        return error.exit_code
    if isinstance(error, click.UsageError):
        return _tell_usage(error, talk)
    if isinstance(error, click.ClickException):
        talk.error(error.format_message())
        return error.exit_code
    return _tell_unknown(error, talk, debug)


def _tell_usage(error: click.UsageError, talk: Talk) -> int:
    if error.ctx is not None:
        for line in error.ctx.get_usage().splitlines():
            talk.say(line)
    talk.error(error.format_message())
    if isinstance(error, click.NoSuchOption):
        talk.say("a name that begins with - goes after a lone --, as in: download -- -name")
    return 2


def _tell_unknown(error: BaseException, talk: Talk, debug: bool) -> int:
    if isinstance(error, OSError):
        talk.error(error.strerror or str(error))
        return 1
    if debug:
        for line in "".join(traceback.format_exception(error)).splitlines():
            talk.say(line)
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    hint = "" if debug else " (PCLIENT_DEBUG=1 shows where)"
    talk.error(f"internal error: {reason}{hint}")
    return 1
