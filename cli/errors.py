"""Shows errors as one sentence with an exit code: the only place that does."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import IO, Any

import click

from cli.console import echo_lines
from cli.exit_codes import DONE, INTERRUPTED, WRONG_USE
from config.text import printable, printable_lines, redact
from ledger.errors import NoSuchJob
from relabel.problems import problem_of


class CliError(click.ClickException):
    """An error for people: what, where, and what to do next."""

    def __init__(self, message: str, exit_code: int = WRONG_USE) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # click declares it for the class

    def show(self, file: IO[Any] | None = None) -> None:
        """Write it to standard error."""
        click.echo(f"relabel: {printable_lines(self.message)}", file=file, err=file is None)


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""How writing to a full disk fails."""


def show_error(error: BaseException) -> int | None:
    """Show an error that is for people; return the exit code, None for one that is a bug and nobody has seen yet."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):  # the reader of our output has seen enough
        sys.stderr.close()
        return DONE
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return _show_full_disk(error)
    shown = error if isinstance(error, click.ClickException) else _as_cli_error(error)
    if shown is not None:
        _show(shown)
    return None if shown is None else shown.exit_code


def _as_cli_error(error: BaseException) -> CliError | None:
    """Map an error of the packages below; None where its message is not for people."""
    if isinstance(error, NoSuchJob):
        return CliError(f"there is no job {printable(error.job_id, 80)}; `relabel jobs` lists them.")
    if isinstance(error, UnicodeEncodeError):
        return CliError("an argument is no text in UTF-8; correct what you typed.")
    problem = problem_of(error)
    return None if problem is None else CliError(printable(str(error)), problem.exit_code)


def _show(error: click.ClickException) -> None:
    """Show an error of click's, which quotes what was typed as it is."""
    said = io.StringIO()
    error.show(said)
    # the settings may not be read yet, and so the key not be known: whatever looks like one is cut out
    echo_lines(printable_lines(redact(said.getvalue().rstrip("\n"), strangers=True)))


def _show_full_disk(error: OSError) -> int:
    CliError(f"cannot write output ({error.strerror}); free some space, or write elsewhere.").show()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer has no room either
    return WRONG_USE
