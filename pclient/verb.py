"""What all commands of the command line have in common: --json, help that fits, the first checks of what is typed."""

from collections.abc import Iterable
from typing import Any, TypeVar

import click

from pclient.client import Client
from pclient.model import WrongUsage
from pclient.text import wrapped

_T = TypeVar("_T")
_WIDTH_FOR_ONE_LINE = 60  # of a usage


def _want_json(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value and isinstance(context.obj, Client):
        context.obj.talk.as_json = True


class _Formatter(click.HelpFormatter):
    """Help that also fits a narrow terminal: less room for the names of options, more for what they mean."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """See HelpFormatter."""
        if self.width >= _WIDTH_FOR_ONE_LINE:
            super().write_usage(prog, args, prefix)
            return
        lines = wrapped(f"{prefix or 'Usage: '}{prog}", self.width) + wrapped(f"  {args}", self.width, indent=2)
        self.write("".join(f"{line}\n" for line in lines))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """See HelpFormatter."""
        super().write_dl(rows, min(col_max, self.width // 3), col_spacing)


class _Context(click.Context):
    formatter_class = _Formatter


class Verb(click.Command):
    """A command, which takes --json like every other."""

    context_class = _Context

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: what click.command passes on
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--json"], is_flag=True, expose_value=False, callback=_want_json, help="Print one JSON value."
            )
        )


def not_empty(_context: click.Context, param: click.Parameter, value: _T) -> _T:
    """No name is empty: it is that of a variable in a script that was never set. Raises WrongUsage."""
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, str) and not one.strip():
            what = param.opts[0] if isinstance(param, click.Option) else param.make_metavar(_context)
            raise WrongUsage(f"{what} is empty: say which")
    return value


class Group(click.Group):
    """The program itself, with commands."""

    context_class = _Context
