"""What passes between the program and the person: data on stdout, all talk on stderr, questions on a terminal.

Whatever is said goes through `harmless`: a file's name or a server's message cannot act on the terminal.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from pclient import table
from pclient.model import PClientError
from pclient.text import harmless, wrapped

if TYPE_CHECKING:
    from rich.console import Console

_RED, _YELLOW, _RESET = "\x1b[31m", "\x1b[33m", "\x1b[0m"
_USUAL_WIDTH = 80
_CONSOLE_VARIABLES = ("COLUMNS", "LINES", "TERM", "COLORTERM")


class Talk:
    """Speaks on `out` and `err`. `ask`: how to put a question, or None if nobody is there to answer.

    `ask_secret`: the same, for what must not be seen while it is typed.
    `as_json`: the data is one JSON value. `colour`: allowed; used only where the stream is a terminal.
    """

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        environ: Mapping[str, str],
        ask: Callable[[str], str] | None = None,
        ask_secret: Callable[[str], str] | None = None,
    ) -> None:
        self._out = out
        self._err = err
        # rich must not see FORCE_COLOR and its like: colours are for terminals only.
        self._environ = {name: environ[name] for name in _CONSOLE_VARIABLES if name in environ}
        self.ask_with = ask
        self._ask_secret_with = ask_secret
        self.as_json = False
        self.colour = not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        self.moving = environ.get("TERM") != "dumb" and err.isatty()  # may redraw lines on stderr

    @property
    def to_person(self) -> bool:
        """Whether the data is read by a person: stdout is a terminal, and nobody asked for JSON."""
        return self._out.isatty() and not self.as_json

    @property
    def width(self) -> int:
        """Of the terminal on which the talk is read, in character cells; 80 if there is none."""
        said = self._environ.get("COLUMNS", "")
        if said.isascii() and said.isdecimal() and int(said[:6]) > 0:
            return int(said[:6])
        try:
            return os.get_terminal_size(self._err.fileno()).columns or _USUAL_WIDTH
        except (OSError, ValueError):
            return _USUAL_WIDTH

    def json(self, value: object) -> None:
        """The one JSON value of `--json`. ASCII: other characters are escaped, so nothing is lost or harmful."""
        self._out.write(json.dumps(value, indent=2 if self._out.isatty() else None) + "\n")
        self._out.flush()

    def table(self, rows: table.Table) -> None:
        """Data: a fitted table for a person, tab-separated lines for a program."""
        if not self.to_person:
            self._out.writelines(line + "\n" for line in table.plain_lines(rows))
            return
        console = self._console(self._out)
        console.print(table.fitted(rows, console.width), crop=False)

    def line(self, text: str) -> None:
        """Data that is one line, or an empty one."""
        self._out.write(harmless(text) + "\n")

    def say(self, text: str, indent: int = 0) -> None:
        """A line of talk, on stderr. `indent`: where on a narrow terminal it goes on in the next line."""
        self._err.write(self._laid_out(harmless(text), indent) + "\n")
        self._err.flush()

    def warn(self, text: str) -> None:
        """A line of talk that should be noticed."""
        self._say_coloured(_YELLOW, "note: ", text)

    def error(self, text: str) -> None:
        """What went wrong, in one line."""
        self._say_coloured(_RED, "error: ", text)

    @property
    def can_ask(self) -> bool:
        """Whether there is somebody to ask."""
        return self.ask_with is not None

    def ask(self, question: str) -> str:
        """The answer to a question, without space around it; "" if there is none."""
        if self.ask_with is None:
            raise PClientError("nobody is there to answer a question")
        self._out.flush()
        try:
            return self.ask_with(self._laid_out(harmless(question))).strip()
        except EOFError:
            return ""

    def ask_secret(self, question: str) -> str:
        """The answer to a question that is not seen while it is typed, as it was typed; "" if there is none."""
        if self._ask_secret_with is None:
            raise PClientError("nobody is there to answer a question")
        self.flush()
        try:
            return self._ask_secret_with(harmless(question))
        except EOFError:
            return ""

    def choose(self, question: str, options: Sequence[str]) -> int:
        """Let the person choose one of `options`: its index. Raises PClientError if they do not."""
        for number, option in enumerate(options, start=1):
            self.say(f"{number:>3}  {option}", indent=5)
        while answer := self.ask(f"{question} [1-{len(options)}, Enter for none] "):
            if answer.isascii() and answer.isdecimal() and 1 <= int(answer[:9]) <= len(options):
                return int(answer) - 1
            self.say(f"please answer with a number from 1 to {len(options)}, or with Enter")
        raise PClientError("nothing was chosen")

    def flush(self) -> None:
        """Write out what is still held back."""
        self._out.flush()
        self._err.flush()

    def progress_console(self) -> "Console":
        """Where progress is drawn."""
        return self._console(self._err)

    def _say_coloured(self, colour: str, mark: str, text: str) -> None:
        coloured = self.colour and self._err.isatty()
        self.flush()
        said = self._laid_out(mark + harmless(text))
        self._err.write((f"{colour}{mark}{_RESET}" + said.removeprefix(mark) if coloured else said) + "\n")
        self._err.flush()

    def _laid_out(self, text: str, indent: int = 0) -> str:
        """For a person, broken between words; for a program in one line."""
        return "\n".join(wrapped(text, self.width, indent)) if self._err.isatty() else text

    def _console(self, stream: TextIO) -> "Console":
        from rich.console import Console

        return Console(
            file=stream,
            force_terminal=stream.isatty(),
            color_system="auto" if self.colour and stream.isatty() else None,
            no_color=not self.colour,
            markup=False,
            emoji=False,
            highlight=False,
            _environ=self._environ,
        )
