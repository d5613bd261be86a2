"""Turns what can go wrong into one sentence and an exit code: the only place that does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from cli.exit_codes import INTERRUPTED, NOT_FINISHED, SOME_ROWS_FAILED, UNREACHABLE, WRONG_USE
from config.errors import SettingsError
from config.text import printable, printable_lines
from embedded.errors import NotPrivate, ServerNotStarted
from ledger.errors import LedgerUnreachable, NoSuchJob
from producer.errors import UnreadableFile
from relabel.errors import Declined, RelabelError, RowsLost, Unreachable, WorkerDied


class CliError(click.ClickException):
    """An error for people: what, where, and what to do next."""

    def __init__(self, message: str, exit_code: int = WRONG_USE) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # click declares it for the class

    def show(self, file: IO[Any] | None = None) -> None:
        """Write it to standard error."""
        click.echo(f"relabel: {printable_lines(self.message)}", file=file, err=file is None)


EXIT_CODES: dict[type[Exception], int] = {
    Declined: INTERRUPTED,
    RowsLost: NOT_FINISHED,
    Unreachable: UNREACHABLE,
    WorkerDied: SOME_ROWS_FAILED,
    RelabelError: WRONG_USE,
    LedgerUnreachable: UNREACHABLE,
    ServerNotStarted: UNREACHABLE,
    NotPrivate: WRONG_USE,
    SettingsError: WRONG_USE,
    UnreadableFile: WRONG_USE,
}
"""The exit code of each error whose message is for people: that of the first class that fits."""


@contextmanager
def map_errors() -> Iterator[None]:
    """Raise the errors of the packages below as CliError; the one place that does."""
    try:
        yield
    except NoSuchJob as error:
        raise CliError(f"there is no job {printable(str(error), 80)}; `relabel jobs` lists them.") from error
    except UnicodeEncodeError as error:
        raise CliError("an argument is no text in UTF-8; correct what you typed.") from error
    except tuple(EXIT_CODES) as error:
        code = next(code for known, code in EXIT_CODES.items() if isinstance(error, known))
        raise CliError(printable(str(error)), code) from error
