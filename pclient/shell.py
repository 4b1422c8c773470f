"""The interactive shell: reads lines, runs them as commands. Nothing that is typed ends it but quit and Ctrl-D."""

import os
import shlex
from collections.abc import Callable

import click

from pclient import __version__, commands_people, failures, text
from pclient.client import Client
from pclient.commands import VERBS
from pclient.model import PClientError, Status, WrongUsage
from pclient.text import harmless
from pclient.transferring import announce_ended, count_in_background

_MAX_WIDTH = 100
_NAME_CELLS = 12
_KEYS = (
    ("help CMD", "all about a command"),
    ("quit", "or Ctrl-D; transfers go on at the PServer"),
    ("Ctrl-C", "leaves a transfer running; `watch ID` shows it again"),
)
_OF_ACCOUNTS = frozenset(str(verb.name) for verb in commands_people.VERBS)
_ACCOUNTS = ("login", "and signup, logout, whoami, passwd: where the network has accounts")
_HINTS = (
    "Quote names with spaces: download 'my file.txt'. Tab completes.",
    "A number is a line of the last list of files: after a search, `download 2` and `info 2` mean its line 2. "
    "(A file that is really called 2: ask by its id.)",
    "Of the id of a file just seen the beginning will do: `info id:2ab8047cf829`.",
)
_LEAVE = frozenset({"quit", "exit"})


class Shell:
    """`read` gives the next line for a prompt; it raises EOFError at the end, KeyboardInterrupt at Ctrl-C."""

    def __init__(self, client: Client, read: Callable[[str], str]) -> None:
        self._client = client
        self._talk = client.talk
        self._read = read
        self._name = "pclient"
        self._greeted: str | None = None  # who was logged in when the PServer was last asked how it is
        self._pasted: list[str] = []
        self._wants_json = client.talk.as_json
        self._group = click.Group("", commands={str(verb.name): verb for verb in VERBS})

    def run(self) -> int:
        """Until the end; the exit code of the last command that failed, else 0."""
        self._client.in_shell = True
        self._greet()
        code = 0
        while (line := self._next_line()) is not None:
            code = self._run_line(line) or code
        self._part()
        return 0 if self._talk.can_ask else code  # a person has seen it; a script has not

    def _next_line(self) -> str | None:
        """The next line; None at the end."""
        while True:
            try:
                announce_ended(self._client)
                self._welcome()
                line = self._next_pasted() or self._read(self._prompt()).strip()
            except KeyboardInterrupt:
                continue  # Ctrl-C empties the line
            except EOFError:
                return None
            if "\n" in line:
                line, *self._pasted = commands_in(line)
            return None if line in _LEAVE else line

    def _next_pasted(self) -> str:
        """Of lines that were pasted together the next, shown as if it had been typed; empty if there is none."""
        line = self._pasted.pop(0) if self._pasted else ""
        if line:
            self._talk.say(f"{self._prompt()}{harmless(line)}")
        return line

    def _run_line(self, line: str) -> int:
        self._talk.as_json = self._wants_json
        try:
            words = split(line)
            words = words[1:] if words[:1] == ["pclient"] else words
            if words[:1] == ["help"]:
                self._help(words[1:])
            elif words:
                self._command(words)
            self._talk.flush()
        except BrokenPipeError:
            raise
        except BaseException as error:  # the shell survives whatever a command does
            return failures.tell(error, self._talk, self._client.debug)
        return 0

    def _command(self, words: list[str]) -> None:
        name = words[0]
        if name in _LEAVE:
            raise WrongUsage(f"say {name} alone, without more words")
        if self._group.get_command(click.Context(self._group), name) is None:
            raise _unknown(name)
        verb = self._group.commands[name]
        with verb.make_context(name, words[1:], obj=self._client) as context:
            verb.invoke(context)

    def _help(self, words: list[str]) -> None:
        if words and words[0] in self._group.commands:
            verb = self._group.commands[words[0]]
            width = min(self._talk.width, _MAX_WIDTH)
            context = verb.context_class(verb, info_name=words[0], terminal_width=width)
            shown = verb.get_help(context).splitlines()
        elif words:
            raise _unknown(words[0])
        else:
            shown = self._overview(min(self._talk.width, _MAX_WIDTH))
        for line in shown:
            self._talk.line(line)

    def _overview(self, width: int) -> list[str]:
        """All of it fits a terminal of 80 columns and 24 lines: what scrolls away is not read."""
        told = {name: verb.get_short_help_str(80) for name, verb in self._group.commands.items()}
        verbs = [*[(name, told[name]) for name in told if name not in _OF_ACCOUNTS], _ACCOUNTS]
        lines = [f"{name:<{_NAME_CELLS}}{told}" for name, told in verbs]
        keys = [f"{name:<{_NAME_CELLS}}{told}" for name, told in _KEYS]
        listed = [part for line in [*lines, "", *keys, ""] for part in text.wrapped(line, width, _NAME_CELLS)]
        return [*listed, *[part for hint in _HINTS for part in text.wrapped(hint, width)]]

    def _prompt(self) -> str:
        """Who is logged in, if anybody is, at which peer."""
        user = self._client.user
        return f"{harmless(user)[:40]}@{self._name}> " if user is not None else f"{self._name}> "

    def _greet(self) -> None:
        """Who and how we are. That the PServer is away is said, and does not end the shell."""
        self._look()
        self._talk.say("`help` lists the commands, `quit` or Ctrl-D leaves.")

    def _welcome(self) -> None:
        """Somebody has logged in since: only now the PServer says how it is."""
        if self._client.user not in {None, self._greeted}:
            self._look()

    def _look(self) -> None:
        try:
            status = self._client.api.status()
            self._name = harmless(status["peer"]["name"])[:40]
            self._client.seen.peer_names([status["peer"]["name"]])
            self._talk.say(greeting(status))
        except Exception as error:  # whatever it is: the shell is of use, and each command says what is wrong
            if isinstance(error, PClientError) and error.code == "login_required":
                self._talk.say(str(error))  # no failure: where there are accounts, everybody begins so
            else:
                failures.tell(error, self._talk, self._client.debug)
        self._greeted = self._client.user

    def _part(self) -> None:
        running = count_in_background(self._client)
        if running:
            self._talk.say(f"{running} still in work at the PServer; to look: pclient transfers")


def greeting(status: Status) -> str:
    """The first line a person sees."""
    share, locators = status["share"], status["locators"]
    registered = sum(one["state"] == "registered" for one in locators)
    network = "connected" if registered else "not connected: see `status`"
    held = f"{text.count_of(share['files'], 'file')} shared, {text.size(share['bytes'])}"
    return f"pclient {__version__}: peer {status['peer']['name']}, {held}; {network}"


def _unknown(name: str) -> PClientError:
    from difflib import get_close_matches  # most commands are known

    near = get_close_matches(name, [str(verb.name) for verb in VERBS], 1)
    hint = f"did you mean {near[0]}?" if near else "`help` lists them"
    return PClientError(f"there is no command '{name}'; {hint}")


def commands_in(entered: str) -> list[str]:
    """The commands that were pasted together: one a line, where no quote is open. Empty lines are none."""
    commands: list[str] = []
    begun = ""
    for line in entered.split("\n"):
        begun = f"{begun}\n{line}" if begun else line
        if not _is_open(begun):
            commands, begun = [*commands, begun], ""
    return [line.strip() for line in [*commands, begun] if line.strip()]


def _is_open(line: str) -> bool:
    try:
        split(line)
    except PClientError:
        return True
    return False


def split(line: str) -> list[str]:
    """A line's words, by the rules of a POSIX shell; on Windows a backslash is an ordinary character.

    Raises PClientError for quotes that are not closed.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    if os.name == "nt":
        lexer.escape = ""
    try:
        return list(lexer)
    except ValueError as error:
        hint = "a quote is not closed" if "quot" in str(error) else "the last backslash escapes nothing"
        raise PClientError(f"{hint}. For a quote within a word, write \"it's\" or it\\'s") from None
