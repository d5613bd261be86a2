"""The arguments of Python's `submit` and its like: the command line's options by the same names, in snake case."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal, TypedDict, Unpack

from config.failure_limit import failure_limit
from config.input_options import INPUT_OPTIONS, InputOptions, KeyColumn, input_options
from config.moment import parse_moment
from config.request_rate import parse_rate
from ledger.job_spec import Mode, Priority
from relabel.errors import InvalidInput
from relabel.submit import FileOptions

Paths = str | os.PathLike[str]


class ReadingArguments(TypedDict, total=False):
    """How an input is read; see `docs/files.md`. Of rows in memory, `delimiter` and `input_format` say nothing.

    `columns` are keys, or keys with the columns that their values are in. Values that are one of the texts in `null`
    remove their key.
    """

    input_format: Literal["csv", "jsonl"]
    delimiter: str
    id_column: str
    columns: Collection[str] | Mapping[str, str]
    null: Collection[str]
    stringify: bool


class PlanArguments(ReadingArguments, total=False):
    """What a plan takes besides. `rate` is in requests a minute, or as `10/s`; `confirm` are codes of questions."""

    mode: Literal["merge", "replace"]
    rate: float | str
    max_failures: str | float
    priority: Literal["high", "normal", "low"]
    name: str
    strict: bool
    oldest_first: bool
    confirm: Collection[str]


class RunArguments(PlanArguments, total=False):
    """What a job that writes takes besides; `undo=False` keeps nothing of what was there."""

    undo: bool
    again: bool


class SubmitArguments(RunArguments, total=False):
    """What `submit` takes besides: `hold` stores the job, and waits for `resume`."""

    hold: bool


class VerifyArguments(TypedDict, total=False):
    """What the verification of a job takes."""

    rate: float | str
    name: str
    confirm: Collection[str]


class ApplyArguments(VerifyArguments, total=False):
    """What the apply of a plan takes: `canary`, a number or a share of rows, is carried out first and read back.

    Where more than `max_changes` would be made, none is.
    """

    canary: str | int
    max_changes: int


class DerivedArguments(VerifyArguments, total=False):
    """What the undo and the retry of a job take; with `again` a new one is made although there was one before."""

    again: bool


def file_options(files: tuple[str, ...], **arguments: Unpack[RunArguments]) -> FileOptions:
    """Return the options of an input.

    Raises:
        InvalidInput: an argument cannot be used.

    """
    given: dict[str, Any] = dict(arguments)
    given.pop("confirm", None)
    try:
        reading = _reading(given)
        rate = rate_of(given.pop("rate", None))
        if (most := given.pop("max_failures", None)) is not None:
            given["max_failures"] = failure_limit(str(most))
        mode, priority = Mode(given.pop("mode", Mode.MERGE)), Priority(given.pop("priority", Priority.NORMAL))
    except ValueError as error:
        raise InvalidInput(f"{error}.") from error
    return FileOptions(files, mode=mode, priority=priority, rate=rate, reading=reading, **given)


def rate_of(rate: float | str | None) -> float | None:
    """Return a rate in requests a minute, which may be written as on the command line: `600/m`, `10/s`.

    Raises:
        InvalidInput: it is none.

    """
    try:
        return None if rate is None else parse_rate(str(rate))
    except ValueError as error:
        raise InvalidInput(f"rate: {error}.") from error


def moment_of(since: datetime | str | None, now: float) -> float:
    """Return a moment, such as `12h` ago, in seconds since the epoch as `now` is; 0 where none is given.

    Raises:
        InvalidInput: it is none.

    """
    if since is None:
        return 0.0
    if isinstance(since, datetime):
        return since.timestamp()
    try:
        return parse_moment(since, now=now)
    except ValueError as error:
        raise InvalidInput(f"since: {error}.") from error


def _reading(given: dict[str, Any]) -> InputOptions:
    """Take the arguments on reading out of those that were given, and return the options that they are."""
    fields: dict[str, Any] = {}
    for option in INPUT_OPTIONS:
        value = given.pop(option.flag.removeprefix("--").replace("-", "_"), None)
        if value is not None and option.field == "delimiter" and option.read:
            value = option.read(value)
        fields[option.field] = value
    columns = fields["columns"]
    pairs = columns.items() if isinstance(columns, Mapping) else [(each, each) for each in columns or ()]
    fields["columns"] = [tuple(KeyColumn(key, column) for key, column in pairs)]
    fields["stringify"] = bool(fields["stringify"])
    null = fields["null"]
    fields["null"] = (null,) if isinstance(null, str) else null
    return input_options(fields)
