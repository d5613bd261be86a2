"""Finds a row of a job by the id of its completion, or by its line."""

from __future__ import annotations

import re

from ledger.errors import StateLost
from ledger.input_files import InputFile
from ledger.job import Job
from ledger.ledger import Ledger
from ledger.row_pages import find_line, find_unsent_line, read_numbered
from relabel.session import Session

_LINE = re.compile(r"(?:(?P<file>.+)(?:, line |:))?(?P<line>\d{1,12})")


async def find_row(session: Session, job: Job, wanted: str) -> str | None:
    """Return the place in the list of the job's rows of an id or a line; None where there is no such row.

    A line is a number, or `b.csv:12` of one of several files.
    """
    try:
        found = await _of_completion(session.ledger, job, wanted)
        return found or await _at_line(session.ledger, job, wanted)
    except StateLost:
        return None


async def _of_completion(ledger: Ledger, job: Job, completion_id: str) -> str | None:
    numbers = (await ledger.row_indexes.find([job.spec.job_id], completion_id))[job.spec.job_id] or []
    rows = await read_numbered(ledger.redis, job.spec, sorted(numbers))
    places = [
        number for number, row in zip(sorted(numbers), rows, strict=True) if row.patch.completion_id == completion_id
    ]
    return f"r{places[0]}" if places else None


async def _at_line(ledger: Ledger, job: Job, wanted: str) -> str | None:
    line = _line_of(wanted, job.spec.files)
    if line is None:
        return None
    number = await find_line(ledger.redis, job.spec, line)
    if number is not None:
        return f"r{number}"
    unsent = await find_unsent_line(ledger.redis, job.spec, line)
    return None if unsent is None else f"{unsent[0]}{unsent[1]}"


def _line_of(wanted: str, files: list[InputFile]) -> int | None:
    """Return the line that is meant, numbered through all files of the input."""
    match = _LINE.fullmatch(wanted)
    if match is None:
        return None
    if match["file"] is None:
        return int(match["line"])
    before = next((file.lines_before for file in files if file.name == match["file"]), None)
    return None if before is None else before + int(match["line"])
