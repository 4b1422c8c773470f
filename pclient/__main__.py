"""The client's wiring: environment → settings → wire → client → command. The only place that reads the environment."""

import sys

from pclient import __version__

TYPE_CHECKING = False  # type checkers know the name; typing itself would cost `--version` a third of its time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pclient.client import Client
    from pclient.commands import Options
    from pclient.talk import Talk


def main() -> int:
    """Run what the command line says; the exit code."""
    if sys.argv[1:] == ["--version"]:  # the one question that needs nothing of what follows
        print(f"pclient {__version__}")
        return 0
    import os

    from pclient.talk import Talk

    _open_streams()
    asks = (_ask, _ask_secret) if sys.stdin.isatty() and sys.stderr.isatty() else ()
    talk = Talk(sys.stdout, sys.stderr, os.environ, *asks)
    debug = os.environ.get("PCLIENT_DEBUG", "") not in {"", "0"}
    return _closed(talk, _run(sys.argv[1:], talk, os.environ, debug))


def _run(arguments: list[str], talk: "Talk", environ: "Mapping[str, str]", debug: bool) -> int:
    from pclient import failures
    from pclient.commands import Start, pclient

    start = Start(_opener(talk, environ, debug), _shell)
    try:
        with pclient.make_context("pclient", arguments, obj=start, terminal_width=min(talk.width, 100)) as context:
            pclient.invoke(context)
    except BaseException as error:  # the outermost: no traceback ever reaches a person
        try:
            return failures.tell(error, talk, debug)
        except OSError:  # not even stderr can be written
            return failures.BROKEN_PIPE
    return 0


def _opener(talk: "Talk", environ: "Mapping[str, str]", debug: bool) -> "Callable[[Options], Client]":
    def opened(options: "Options") -> "Client":
        import time

        from pclient.api import Api
        from pclient.client import Client
        from pclient.credentials import Credentials
        from pclient.sessions import SessionFile
        from pclient.settings import read_token, settings_from
        from pclient.wire import Wire

        settings = settings_from(environ, options.env_file, options.url, options.token_file)
        talk.as_json = options.as_json
        talk.colour = talk.colour and not options.no_color
        for line in settings.warnings:
            talk.warn(line)
        session_file = SessionFile(settings.sessions_folder, settings.url)
        credentials = Credentials(session_file, lambda: read_token(settings.token_file), talk.warn)
        api = Api(Wire(settings.url, credentials))
        return Client(api, credentials, talk, sys.stdin, settings.history_file, time.monotonic, time.sleep, debug)

    return opened


def _shell(client: "Client") -> int:
    from pclient.prompt import run_shell

    return run_shell(client)


def _open_streams() -> None:
    """Make sure there are three streams, and that no character stops them (a name that is no UTF-8, an old locale)."""
    import io
    import os

    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115  # None when started with it closed
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def _ask(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def _ask_secret(question: str) -> str:
    """What is typed on the terminal, without showing it; where it cannot be hidden, nothing is asked."""
    import getpass
    import warnings

    from pclient.model import WrongUsage

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(question)
    except (EOFError, KeyboardInterrupt):
        sys.stderr.write("\n")  # what is said next begins a line of its own
        raise
    except getpass.GetPassWarning:
        raise WrongUsage("this terminal would show what is typed: give the password with --password-stdin") from None


def _closed(talk: "Talk", code: int) -> int:
    """Write out what is held back. If that fails, make sure that the interpreter does not try again, and complain."""
    import os

    from pclient.failures import BROKEN_PIPE

    try:
        talk.flush()
    except (OSError, ValueError) as error:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        if not isinstance(error, BrokenPipeError):
            talk.error(f"cannot write the output: {getattr(error, 'strerror', None) or error}")
            return 1
        os.dup2(null, 2)
        return BROKEN_PIPE
    return code


if __name__ == "__main__":
    sys.exit(main())
