"""A report of what a job changed: every key before and after."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Set
from typing import Protocol

import msgspec

from config.text import escaped_json
from ledger.job_spec import JobSpec
from ledger.ledger import Ledger
from ledger.patching import Change, diff
from ledger.row import Outcome
from ledger.row_reader import ReportedRow, read_rows
from producer.csv_formula import escape_cell

WRITTEN = frozenset({Outcome.UPDATED, Outcome.FAILED})
"""Outcomes of rows that were or may have been written."""
COLUMNS = ("key", "before", "after", "change", "outcome")

_encode = msgspec.json.Encoder().encode


class DiffLayout(Protocol):
    """A format of changes, row by row."""

    def head(self) -> bytes:
        """Return what comes before the first row."""

    def row(self, row: ReportedRow, changed: dict[str, Change]) -> bytes:
        """Return the lines of a row."""


class CsvDiff:
    """A line for each changed key. An empty cell is an empty value or none; `change` tells which."""

    def __init__(self, id_column: str) -> None:
        self._id_column = id_column

    def head(self) -> bytes:
        """Return the header."""
        return _csv([(self._id_column, *COLUMNS)])

    def row(self, row: ReportedRow, changed: dict[str, Change]) -> bytes:
        """Return the lines of a row."""
        completion_id, word = row.patch.completion_id, row.outcome.word
        return _csv(
            [
                (completion_id, key, before or "", after or "", _word(before, after), word)
                for key, (before, after) in changed.items()
            ]
        )


class JsonlDiff:
    """An object for each changed row; null stands for no value."""

    def __init__(self, id_column: str) -> None:
        self._id_column = id_column

    def head(self) -> bytes:
        """Return no bytes: JSONL has no header."""
        return b""

    def row(self, row: ReportedRow, changed: dict[str, Change]) -> bytes:
        """Return the line of a row."""
        shown = {
            self._id_column: row.patch.completion_id,
            "outcome": row.outcome.word,
            "before": {key: change.before for key, change in changed.items()},
            "after": {key: change.after for key, change in changed.items()},
        }
        return escaped_json(_encode(shown)) + b"\n"


async def diff_lines(
    ledger: Ledger, spec: JobSpec, layout: DiffLayout, only: Set[Outcome] = WRITTEN
) -> AsyncIterator[bytes]:
    """Yield what the job changed in the rows of these outcomes; `after` is the value the job intended.

    Raises:
        StateLost: some of the rows are gone from Redis.

    """
    yield layout.head()
    async for row in read_rows(ledger.redis, spec, only=only):
        if row.before is None:
            continue
        if changed := diff(row.before, row.patch.metadata, spec.mode):
            yield layout.row(row, changed)


def _word(before: str | None, after: str | None) -> str:
    if before is None:
        return "added"
    return "removed" if after is None else "changed"


def _csv(lines: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([[escape_cell(cell) if cell else cell for cell in line] for line in lines])
    return text.getvalue().encode()
