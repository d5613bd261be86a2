"""A job's report, line by line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Set

from ledger.job_spec import JobSpec
from ledger.ledger import Ledger
from report.as_csv import CsvReport
from report.as_jsonl import JsonlReport
from report.rows import WORDS, Layout, laid_out, report_rows, status_fields
from report.whole_file import Write

WRITE_TOGETHER = 1 << 16
"""Bytes that are gathered for one write."""


async def report_lines(
    ledger: Ledger, spec: JobSpec, *, only: Set[str] = frozenset(WORDS), layout: str | None = None
) -> AsyncIterator[bytes]:
    """Yield the rows of these words; `layout` is `csv` or `jsonl`, that of the input unless one is named.

    Raises:
        StateLost: some of the rows are gone from Redis.

    """
    chosen = _layout(spec, layout)
    yield chosen.head()
    async for row in report_rows(ledger, spec, only):
        yield laid_out(row, chosen, spec)


async def write_lines(lines: AsyncIterator[bytes], write: Write) -> None:
    """Write lines in large pieces."""
    group, size = [], 0
    async for line in lines:
        group.append(line)
        size += len(line)
        if size >= WRITE_TOGETHER:
            write(b"".join(group))
            group, size = [], 0
    write(b"".join(group))


def _layout(spec: JobSpec, chosen: str | None) -> Layout:
    columns = spec.columns
    if (chosen or columns.format) == "csv":
        return CsvReport(columns, status_fields(spec))
    return JsonlReport(columns, status_fields(spec, values=True))
