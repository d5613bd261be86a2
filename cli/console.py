"""What people see on the terminal. Everything goes through here, so that a terminal acts on no text from outside."""

from __future__ import annotations

import signal
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


def can_ask() -> bool:
    """Return whether somebody sits at a terminal who sees a question and can answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask() -> bool:
    """Ask whether to go on, and return the answer."""
    # an event loop takes note of Ctrl-C and goes on waiting for the answer; here it is the answer
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return click.confirm("Go on?", err=True)
    finally:
        signal.signal(signal.SIGINT, handler)
