"""What people see on the terminal. Everything goes through here, so that a terminal acts on no text from outside."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.text import Text

from config.text import printable


def stderr_console() -> Console:
    """Give a console on standard error; it breaks lines on a terminal only: in a log, a sentence stays one line."""
    return Console(stderr=True, soft_wrap=not sys.stderr.isatty())


def shown(text: str, *, style: str = "") -> Text:
    """Return a line for a console: printable, and `[red]` in it is no markup."""
    return Text(printable(text), style=style)


def echo(text: str, *, err: bool = False) -> None:
    """Print a line, printable, on standard output or standard error."""
    click.echo(printable(text), err=err)
