"""Checks the files of an input as one: all of one format and with the same columns, their lines numbered through."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

from msgspec.structs import replace

from config.input_options import NO_OPTIONS, InputOptions
from ledger.input_files import InputFile
from producer.check import Intake
from producer.checked import Checked
from producer.errors import EmptyFile, UnreadableFile
from producer.profile import Reading
from producer.rules import shown
from producer.source import InputLimits, open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ledger.job_spec import Columns, Mode
    from producer.find_files import FoundFile

_SHOWN = 3  # columns of a message


def check_files(
    files: Sequence[FoundFile],
    *,
    mode: Mode,
    options: InputOptions = NO_OPTIONS,
    limits: InputLimits = InputLimits(),  # noqa: B008 - a constant
    spool_dir: Path,
    stdin: BinaryIO | None = None,
    oldest_first: bool = False,
) -> Checked:
    """Read all files, check every row and fold duplicate ids, as `check` does with one.

    The limits are those of all files together. A file may be empty, or have a header alone, where another has rows.

    Raises:
        UnreadableFile: a file cannot be trusted as a whole, the files do not belong together, or there are no rows.

    """
    with ExitStack() as stack:
        intake, taken, empty = Intake(stack, spool_dir, mode, oldest_first=oldest_first), list[InputFile](), list[str]()
        columns, reading = None, Reading()
        for path, name, opened in files:
            try:
                with open_source(
                    path, stdin=opened or stdin, opened=opened, name=name, options=options, limits=limits
                ) as source:
                    taken.append(InputFile(source.name, intake.lines))
                    rows = intake.read(source, options)
            except EmptyFile:
                empty.append(name)
                if len(empty) == len(files):
                    raise
                continue
            if columns is None:
                columns, reading = rows.columns, rows.reading
            _require_same(taken, columns, rows.columns)
        if columns is None or not intake.rows:
            raise UnreadableFile(f"{_all(taken)}: there are no rows below the header; add at least one")
        reading = reading._replace(notices=(*reading.notices, *_about_empty(empty)))
        return intake.checked(replace(columns, files=taken if len(files) > 1 else []), reading)


def _about_empty(names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"{names[0]} is empty" if len(names) == 1 else f"{len(names):,} files are empty, the first is {names[0]}"


def _require_same(taken: Sequence[InputFile], first: Columns, other: Columns) -> None:
    """Raise UnreadableFile where a file is laid out otherwise than the first one."""
    name, first_name = taken[-1].name, taken[0].name
    if other.format != first.format:
        both = f"{other.format.upper()}, but {first_name} is {first.format.upper()}"
        raise UnreadableFile(f"{name}: this file is {both}; submit them as two jobs")
    if other.header != first.header:
        raise UnreadableFile(
            f"{name}: the columns are not those of {first_name} ({_difference(first.header, other.header)}); "
            "give both the same, or submit them as two jobs"
        )


def _difference(first: Sequence[str], other: Sequence[str]) -> str:
    missing, new = [[name for name in a if name not in b] for a, b in ((first, other), (other, first))]
    if not missing and not new:
        return "they stand in another order"
    parts = (("missing", missing), ("new", new))
    return "; ".join(f"{what}: {', '.join(map(shown, names[:_SHOWN]))}" for what, names in parts if names)


def _all(taken: Sequence[InputFile]) -> str:
    return taken[0].name if len(taken) == 1 else f"{taken[0].name} and {len(taken) - 1:,} more"
