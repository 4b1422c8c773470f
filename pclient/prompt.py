"""The shell's line editor: prompt_toolkit with history and completion, or plain lines if there is no terminal."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from pclient.client import Client
from pclient.commands import VERBS
from pclient.completion import offers
from pclient.seen import Seen
from pclient.shell import Shell


def run_shell(client: Client) -> int:
    """Run the shell on this process's terminal, or on the lines of its stdin; the exit code."""
    if client.talk.can_ask:
        read, client.talk.ask_with = line_editor(client.history_file, client.seen)
        return Shell(client, read).run()
    return Shell(client, lambda _prompt: _piped_line(client.stdin)).run()


def line_editor(history_file: Path, seen: Seen) -> tuple[Callable[[str], str], Callable[[str], str]]:
    """Two readers of a line, given a prompt: for commands, and for answers (no history, no completion)."""
    commands: PromptSession[str] = PromptSession(
        history=open_history(history_file), completer=ShellCompleter(seen), complete_while_typing=False
    )
    answers: PromptSession[str] = PromptSession()
    return (lambda prompt: commands.prompt(_literal(prompt))), (lambda prompt: answers.prompt(_literal(prompt)))


def _literal(prompt: str) -> FormattedText:
    return FormattedText([("", prompt)])


def _piped_line(stdin: TextIO) -> str:
    line = stdin.readline()
    if not line:
        raise EOFError
    return line


class ShellCompleter(Completer):
    """Shows what completion.py offers."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """See Completer."""
        for offer in offers(document.text_before_cursor, VERBS, self._seen):
            yield Completion(offer.text, start_position=-offer.length, display=offer.shown)


def open_history(path: Path) -> History:
    """The history in `path`, readable by its owner only; kept in memory if the file cannot be used."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.chmod(path, 0o600)  # noqa: PTH101  # it may be an older file
        finally:
            os.close(descriptor)
    except OSError:
        return InMemoryHistory()
    return _ForgivingHistory(path)


class _ForgivingHistory(FileHistory):
    """A full disk or a removed folder costs the history, not the shell."""

    def store_string(self, string: str) -> None:
        """See FileHistory."""
        try:
            super().store_string(string)
        except (OSError, UnicodeError):
            pass
