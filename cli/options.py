"""The options that `run` and `submit` have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Set
from typing import Any, TypeVar

import click

from config.canary import CanaryShare
from config.failure_limit import failure_limit
from config.input_options import INPUT_OPTIONS, InputOption, input_options
from config.request_rate import parse_rate
from ledger.job_spec import Mode, Priority
from relabel.submit import FileOptions

F = TypeVar("F", bound=Callable[..., Any])


# generic from click 8.5 on only
class Rate(click.ParamType):  # type: ignore[type-arg]
    """A rate as people write it: 600/m, 10/s, 36000/h, or a number a minute."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return requests a minute."""
        try:
            return parse_rate(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


# as above
class MaxFailures(click.ParamType):  # type: ignore[type-arg]
    """Failures that are put up with: 5%, a number of rows, or none to be asked about."""

    name = "limit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it as it was written, without space around it."""
        try:
            return failure_limit(str(value))
        except ValueError:
            what = f"{value!r} is no limit; write a share of the rows like 5%, a number of rows, or none."
            self.fail(what, param, ctx)


# as above
class Outcomes(click.ParamType):  # type: ignore[type-arg]
    """Outcomes as people write them, of those that can be chosen: one, or several with commas between them."""

    name = "outcomes"

    def __init__(self, words: Collection[str]) -> None:
        self._words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[str]:
        """Return the words."""
        chosen = frozenset(word.strip() for word in str(value).split(","))
        if unknown := sorted(chosen - set(self._words)):
            self.fail(f"{unknown[0]!r} cannot be chosen; choose from {', '.join(self._words)}.", param, ctx)
        return chosen


# as above
class Canary(click.ParamType):  # type: ignore[type-arg]
    """A share of the rows, or a number of them: 1%, 50."""

    name = "canary"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> CanaryShare:
        """Return the share."""
        if isinstance(value, CanaryShare):
            return value
        try:
            return CanaryShare.parse(str(value))
        except ValueError:
            self.fail(f"{value!r} is no canary; write a share of the rows like 1%, or a number of rows.", param, ctx)


# as above
class InputText(click.ParamType):  # type: ignore[type-arg]
    """The text of an option that says how a file is read."""

    name = "text"

    def __init__(self, read: Callable[[str], Any]) -> None:
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return what the option's own function makes of it."""
        try:
            return self._read(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


PLAN_HAS_NO = frozenset({"undo", "again"})
"""Options of `FileOptions` that say nothing about a plan, which writes nothing and is made anew each time."""


def file_options(verb: F, *, without: Set[str] = frozenset()) -> F:
    """Add the options of `FileOptions` to a verb, which receives them as `options`, and `yes` and `only_check`.

    `without` names those that the verb does not have.
    """

    @functools.wraps(verb)
    def gathered(*args: Any, mode: str, priority: str, **kwargs: Any) -> Any:
        try:
            reading = input_options({option.field: kwargs.pop(option.field) for option in INPUT_OPTIONS})
        except ValueError as error:
            raise click.UsageError(f"{error}.") from None
        own = {"mode", "priority", "reading", *without}
        fields = {name: kwargs.pop(name) for name in FileOptions._fields if name not in own}
        options = FileOptions(mode=Mode(mode), priority=Priority(priority), reading=reading, **fields)
        return verb(*args, options=options, **kwargs)

    for option in reversed(_file_options(without)):
        gathered = option(gathered)
    return gathered  # type: ignore[return-value]


def _file_options(without: Set[str]) -> list[Callable[[F], F]]:
    """Return the argument and the options, in the order of the help."""
    undo = "Keep what was there before (default). Off saves a read in replace."
    again = "Apply a file that was submitted before once more."
    writing = {
        "undo": click.option("--undo/--no-undo", default=True, help=undo),
        "again": click.option("--again", is_flag=True, help=again),
    }
    return [
        click.argument("files", metavar="FILE...", nargs=-1),
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
        click.option("--strict", is_flag=True, help="Refuse the whole file when a row of it is rejected."),
        *(option for name, option in writing.items() if name not in without),
        click.option(
            "--oldest-first",
            is_flag=True,
            help="Take the completions first that reach 30 days first, by the time in their ids; the report follows.",
        ),
        click.option("--yes", "-y", is_flag=True, help="Answer every question with yes; odd files need it in scripts."),
        click.option("--check", "only_check", is_flag=True, help="Stop after the preview: send and store nothing."),
        *map(_input_option, INPUT_OPTIONS),
    ]


def _input_option(option: InputOption) -> Callable[[F], F]:
    if option.read is None:
        return click.option(option.flag, option.field, is_flag=True, help=option.help)
    kind = click.Choice(option.choices) if option.choices else InputText(option.read)
    return click.option(
        option.flag, option.field, type=kind, metavar=option.metavar, multiple=option.many, help=option.help
    )
