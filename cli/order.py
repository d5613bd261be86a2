"""What `run` and `submit` have in common: their options, the check of the file, and the submission."""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
from rich.console import Console

from cli.console import shown
from cli.errors import CliError
from cli.format import at_lines
from config.settings import Settings
from config.text import printable
from ledger.failures import NO_LIMIT, FailureLimit
from ledger.job import Mode, Priority
from ledger.ledger import Ledger
from producer.check import Checked, check
from producer.source import open_source
from producer.submit import Announce, JobRequest, Submitted, limits_of, request_for, submit
from relabel.session import current_user
from relabel.wording import count_of

SHOWN_REJECTIONS = 5
_PER_MINUTE = {"s": 60.0, "m": 1.0, "h": 1 / 60}

F = TypeVar("F", bound=Callable[..., Any])


# generic from click 8.5 on only
class Rate(click.ParamType):  # type: ignore[type-arg]
    """A rate as people write it: 600/m, 10/s, 36000/h, or a number a minute."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Give requests a minute."""
        number, _, unit = str(value).partition("/")
        try:
            rate = float(number) * _PER_MINUTE[unit[:1] or "m"]
        except (ValueError, KeyError):
            rate = -1.0
        if not 0 < rate < 1e9:
            self.fail(f"{value!r} is not a rate; write requests a minute, or 10/s, 600/m, 36000/h.", param, ctx)
        return rate


# as above
class MaxFailures(click.ParamType):  # type: ignore[type-arg]
    """Failures that are put up with: 5%, a number of rows, or none to be asked about."""

    name = "limit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Give it as it was written, once it means something."""
        try:
            if str(value).strip() != NO_LIMIT:
                FailureLimit.parse(str(value))
        except ValueError:
            what = f"{value!r} is no limit; write a share of the rows like 5%, a number of rows, or none."
            self.fail(what, param, ctx)
        return str(value).strip()


class FileOptions(NamedTuple):
    """The options of `run` and `submit` that say what to do with the file."""

    file: str
    mode: Mode
    rate: float | None
    max_failures: str | None
    priority: str
    name: str | None
    undo: bool
    strict: bool
    stringify: bool
    again: bool
    yes: bool
    input_format: str | None


def order_options(verb: F) -> F:
    """Give a verb the options that `FileOptions` holds; it gets them as one value, `asked`."""

    @functools.wraps(verb)
    def gathered(*args: Any, mode: str, **kwargs: Any) -> Any:
        fields = {name: kwargs.pop(name) for name in FileOptions._fields if name != "mode"}
        return verb(*args, asked=FileOptions(mode=Mode(mode), **fields), **kwargs)

    options = [
        click.argument("file", required=False, default=""),
        click.option(
            "--mode",
            type=click.Choice([mode.value for mode in Mode]),
            default="merge",
            show_default=True,
            help="merge: change the named keys, keep the others. replace: the row is all the metadata there is to be.",
        ),
        click.option("--rate", type=Rate(), help="Slow this job down, for example 600/m. Never above the shared rate."),
        click.option(
            "--max-failures",
            type=MaxFailures(),
            help="Pause once more rows failed than this: 5% of those that ended, or a number. Looked at from 100 on. "
            "none: also go on where the first rows all fail with one code.",
        ),
        click.option(
            "--priority",
            type=click.Choice([priority.value for priority in Priority]),
            default="normal",
            show_default=True,
            help="Share of the workers while other jobs run: high gets twice what normal gets, low half of it.",
        ),
        click.option("--name", help="Name of the job. Default: the file's name."),
        click.option(
            "--undo/--no-undo", default=True, help="Keep what was there before (default). Off saves a read in replace."
        ),
        click.option("--strict", is_flag=True, help="Refuse the whole file when a row of it is invalid."),
        click.option("--stringify", is_flag=True, help="Take JSON numbers and booleans as their text."),
        click.option("--again", is_flag=True, help="Apply a file that was submitted before once more."),
        click.option("--yes", "-y", is_flag=True, help="Do not ask before more than 10,000 completions are changed."),
        click.option("--input-format", type=click.Choice(["csv", "jsonl"]), help="Default: told by the file's name."),
    ]
    for option in reversed(options):
        gathered = option(gathered)
    return gathered  # type: ignore[return-value]


@contextmanager
def checked_file(asked: FileOptions, settings: Settings, console: Console) -> Iterator[Checked]:
    """Read and check the whole file, say what was found, and keep it for submission.

    Raises:
        UnreadableFile: the file cannot be trusted.
        CliError: with --strict, a row is invalid.

    """
    if not asked.file:
        raise click.UsageError("Missing argument 'FILE'.")
    # the files have no names, so they need no folder of their own, which a killed command would leave behind
    spool = Path(tempfile.gettempdir())
    layout: Any = asked.input_format
    with open_source(asked.file, stdin=sys.stdin.buffer, layout=layout, limits=limits_of(settings)) as source:
        checked = check(source, mode=asked.mode, stringify=asked.stringify, spool_dir=spool)
    with checked:
        _tell(checked, console)
        if asked.strict and checked.rejected:
            what = "1 row is" if checked.rejected == 1 else f"{checked.rejected:,} rows are"
            raise CliError(f"{what} invalid, so nothing was sent (--strict); correct the file.")
        yield checked


def _tell(checked: Checked, console: Console) -> None:
    folded = f", {checked.folded:,} folded into an earlier row of the same id" if checked.folded else ""
    valid, invalid = count_of(checked.total, "completion"), count_of(checked.rejected, "row")
    console.print(shown(f"Checked: {valid} to change{folded}, {invalid} invalid."))
    for number, rejection in enumerate(checked.rejections()):
        if number == SHOWN_REJECTIONS:
            console.print(shown(f"  and {checked.rejected - number:,} more; the report lists them all."))
            break
        column = f", column {printable(rejection.column, 64)}" if rejection.column else ""
        console.print(shown(f"  line {rejection.line}{column}: {rejection.reason}"))
    if checked.odd_ids.number:
        number = checked.odd_ids.number
        unlike = "id does" if number == 1 else "ids do"
        where = at_lines(checked.odd_ids.lines)
        console.print(shown(f"Warning: {number:,} {unlike} not look like chat completion ids ({where})."))


def order_of(asked: FileOptions, settings: Settings, *, hold: bool = False) -> JobRequest:
    """Give the order that the options come to, for the API of the settings."""
    name = asked.name or ("stdin" if asked.file == "-" else Path(asked.file).name)
    return request_for(settings, name, mode=asked.mode, journal=asked.undo)._replace(
        rate_per_minute=asked.rate,
        hold=hold,
        again=asked.again,
        max_failures=asked.max_failures,
        priority=Priority(asked.priority),
    )


async def submit_file(checked: Checked, order: JobRequest, *, ledger: Ledger, announce: Announce) -> Submitted:
    """Submit the file as ordered, with a line in the job's log."""
    submitted = await submit(checked, order, ledger=ledger, announce=announce)
    if not submitted.existed:
        await ledger.audit.note(submitted.job_id, who=current_user(), verb="submit", why=order.name)
    return submitted
