"""Turns what can go wrong into one sentence and an exit code: the only place that does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from cli.exit_codes import UNREACHABLE, WRONG_USE
from config.errors import SettingsError
from config.text import printable, printable_lines
from embedded.errors import NotPrivate, ServerNotStarted
from ledger.errors import LedgerUnreachable, NoSuchJob
from producer.errors import UnreadableFile


class CliError(click.ClickException):
    """An error for people: what, where, and what to do next."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Say it on standard error."""
        click.echo(f"relabel: {printable_lines(self.message)}", file=file, err=file is None)


class WrongUse(CliError):
    """The call, a setting or the input is wrong."""

    exit_code = WRONG_USE


class Unreachable(CliError):
    """Redis or the API cannot be reached."""

    exit_code = UNREACHABLE


@contextmanager
def map_errors() -> Iterator[None]:
    """Map the errors of the packages below to complaints."""
    try:
        yield
    except NoSuchJob as error:
        raise WrongUse(f"there is no job {printable(str(error), 80)}; `relabel jobs` lists them.") from error
    except (NotPrivate, SettingsError, UnreadableFile) as error:
        raise WrongUse(printable(str(error))) from error
    except (LedgerUnreachable, ServerNotStarted) as error:
        raise Unreachable(printable(str(error))) from error
    except UnicodeEncodeError as error:
        raise WrongUse("an argument is no text in UTF-8; correct what you typed.") from error
