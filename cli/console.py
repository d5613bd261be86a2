"""What people see on the terminal. Everything goes through here, so that a terminal acts on no text from outside."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from config.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def stderr_console() -> Console:
    """Return a console on standard error; it breaks lines on a terminal only: in a log, a sentence stays one line."""
    from rich.console import Console  # noqa: PLC0415 - a fifth of what a short command takes

    return Console(stderr=True, soft_wrap=not sys.stderr.isatty())


def shown(text: str, *, style: str = "") -> Text:
    """Return a line for a console: printable, and `[red]` in it is no markup."""
    from rich.text import Text  # noqa: PLC0415 - as above

    return Text(printable(text), style=style)


def echo(text: str, *, err: bool = False) -> None:
    """Print a line, printable, on standard output or standard error."""
    click.echo(printable(text), err=err)


def echo_fact(word: str, text: str) -> None:
    """Print what a word stands for, on standard output; a terminal shows the word in bold."""
    click.echo(click.style(f"{printable(word):<11}", bold=True) + printable(text))
