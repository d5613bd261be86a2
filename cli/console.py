"""What people see on the terminal. Everything goes through here, so that a terminal acts on no text from outside."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from config.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


FACT_CHARS = 11
"""Width of the words that `echo_fact` prints."""
LEAST_CHARS = 20
"""Narrowest text beside an indent, however narrow the terminal is."""
BOLD = "bold"
_KEPT_BLANK = "\0"
_MORE = "  "
"""Begins the lines that a paged line goes on in."""


def stderr_console() -> Console:
    """Return a console on standard error; it breaks lines on a terminal only: in a log, a sentence stays one line."""
    from rich.console import Console  # noqa: PLC0415 - a fifth of what a short command takes

    return Console(stderr=True, soft_wrap=not sys.stderr.isatty())


def shown(text: str, *, style: str = "") -> Text:
    """Return a line for a console: printable, and `[red]` in it is no markup."""
    from rich.text import Text  # noqa: PLC0415 - as above

    return Text(printable(text), style=style)


def echo(text: str, *, err: bool = False) -> None:
    """Print a line, printable, on standard output or standard error; the latter in lines that fit a terminal."""
    if err:
        echo_lines(printable(text))
    else:
        click.echo(printable(text))


def echo_lines(text: str) -> None:
    """Print a text that is printable on standard error, its lines broken where they do not fit a terminal."""
    for line in text.split("\n"):
        for part in broken(line, terminal_columns(err=True)):
            click.echo(part, err=True)


def echo_fact(word: str, text: str, *, style: str = "") -> None:
    """Print what a word stands for, on standard output.

    A terminal shows the word in bold, and the text in lines beside it.
    """
    echo_beside(f"{printable(word):<{FACT_CHARS}}", text, label_style=BOLD, style=style)


def echo_beside(label: str, text: str, *, label_style: str = "", style: str = "") -> None:
    """Print a label on standard output, and a text in lines beside it."""
    label = printable(label)
    first, *more = broken(printable(text), terminal_columns(), indent=len(label))
    click.echo(styled(label, label_style) + styled(first, style))
    for line in more:
        click.echo(" " * len(label) + styled(line, style))


def echo_parts(*parts: tuple[str, str]) -> None:
    """Print a line of parts on standard output, each a text and its style, printable."""
    click.echo("".join(styled(printable(text), style) for text, style in parts))


def echo_indented(text: str, *, indent: int = 0, style: str = "") -> None:
    """Print a text on standard output, printable, with its lines indented."""
    for line in broken(printable(text), terminal_columns(), indent=indent):
        click.echo(" " * indent + styled(line, style))


def styled(text: str, style: str) -> str:
    """Return a text in a colour or in bold, where standard output is a terminal that shows them (NO_COLOR)."""
    if not style or not sys.stdout.isatty():
        return text
    from rich.console import Console  # noqa: PLC0415 - a fifth of what a short command takes

    console = Console()
    if console.is_dumb_terminal or (console.no_color and style != BOLD):
        return text
    return click.style(text, bold=True) if style == BOLD else click.style(text, fg=style)


def terminal_columns(*, err: bool = False) -> int | None:
    """Return the width of the terminal that is standard output, or standard error; None where it is none."""
    stream = sys.stderr if err else sys.stdout
    return shutil.get_terminal_size().columns if stream.isatty() else None


def print_lines(lines: Iterable[str], console: Console) -> None:
    """Print lines that are safe for a terminal; where one is too narrow for them, they go on at their own indent."""
    columns = console.width if console.file.isatty() else None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        for part in broken(line.lstrip(), columns, indent=indent):
            console.print(shown(" " * indent + part), soft_wrap=True)


def broken(text: str, columns: int | None, *, indent: int = 0) -> list[str]:
    """Return a text in lines that fit into so many columns after an indent; one line where nothing bounds it (None).

    No word is broken, and no `command`, which stays in one piece for copying.
    """
    if columns is None:
        return [text]
    whole = re.sub(r"`[^`]*`", lambda command: command[0].replace(" ", _KEPT_BLANK), text)
    width = max(LEAST_CHARS, columns - indent)
    lines = textwrap.wrap(whole, width, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_KEPT_BLANK, " ") for line in lines] or [""]


def can_ask() -> bool:
    """Return whether somebody sits at a terminal who sees a question and can answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask() -> bool:
    """Ask whether to go on, and return the answer."""
    with _ctrl_c_answers():
        return click.confirm("Go on?", err=True)


def ask_letter(question: str, letters: str) -> str:
    """Ask a question until the answer begins with one of the letters, and return that; the first, where it is empty."""
    answer = "?"
    with _ctrl_c_answers():
        while answer not in letters:
            typed = click.prompt(question, default=letters[0], show_default=False, prompt_suffix=" ", err=True)
            answer = typed.strip()[:1].lower()
    return answer


def show_paged(lines: list[str]) -> None:
    """Show lines a page at a time, printable; on standard error where standard output is no terminal."""
    columns = terminal_columns(err=not sys.stdout.isatty())
    broken_lines = (broken(printable(line), columns, indent=len(_MORE)) for line in lines)
    text = "".join(f"\n{_MORE}".join(parts) + "\n" for parts in broken_lines)
    if sys.stdout.isatty():
        click.echo_via_pager(text)
    else:
        click.echo(text, nl=False, err=True)


@contextlib.contextmanager
def _ctrl_c_answers() -> Iterator[None]:
    """Let Ctrl-C be an answer: an event loop takes note of it and goes on waiting for another."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
