"""The rows of a report: those of the ledger and those never sent, in the order of the file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Set
from typing import NamedTuple, Protocol

from ledger.clock import utc_second, utc_time
from ledger.job import JobSpec
from ledger.ledger import Ledger
from ledger.row import Outcome, Patch, Rejection
from ledger.row_reader import ReportedRow, read_rejections, read_rows

INVALID_CODE = "invalid_row"
"""The code of a row that was never sent."""


class RowStatus(NamedTuple):
    """The columns of a report on what happened to a row; None where there is nothing to report."""

    outcome: str
    code: str | None = None
    status: int | None = None
    message: str | None = None
    request_id: str | None = None
    attempts: int | None = None
    at: str | None = None
    line: int | None = None
    settled_at: str | None = None


class Layout(Protocol):
    """A format of a report, row by row."""

    def head(self) -> bytes:
        """Return what comes before the first row."""

    def row(self, patch: Patch, status: RowStatus) -> bytes:
        """Return the line of a row that was or will be sent."""

    def rejected(self, rejection: Rejection, status: RowStatus) -> bytes:
        """Return the line of a rejected row."""


async def report_rows(ledger: Ledger, spec: JobSpec, only: Set[Outcome]) -> AsyncIterator[ReportedRow | Rejection]:
    """Yield the rows of these outcomes by their line in the file; memory holds a shard of them.

    Raises:
        StateLost: some of the rows are gone from Redis.

    """
    rejections = read_rejections(ledger.redis, spec)
    rejection = await anext(rejections, None) if Outcome.REJECTED in only else None
    everything = only >= set(Outcome)
    async for row in read_rows(ledger.redis, spec, only=None if everything else only):
        while rejection is not None and rejection.line < row.patch.line:
            yield rejection
            rejection = await anext(rejections, None)
        yield row
    while rejection is not None:
        yield rejection
        rejection = await anext(rejections, None)


def laid_out(row: ReportedRow | Rejection, layout: Layout) -> bytes:
    """Return one row in the layout."""
    if isinstance(row, Rejection):
        return layout.rejected(row, _of_rejection(row))
    return layout.row(row.patch, _of_row(row))


def _of_rejection(rejection: Rejection) -> RowStatus:
    place = f"column {rejection.column}: " if rejection.column else ""
    return RowStatus(Outcome.REJECTED.word, INVALID_CODE, message=place + rejection.reason, line=rejection.line)


def _of_row(row: ReportedRow) -> RowStatus:
    detail, word, line = row.detail, row.outcome.word, row.patch.line
    settled_at = utc_second(row.settled_at) if row.settled_at else None
    if detail is None:
        return RowStatus(word, line=line, settled_at=settled_at)
    return RowStatus(
        word,
        code=detail.code or None,
        status=detail.status or None,
        message=detail.message or None,
        request_id=detail.request_id or None,
        attempts=detail.attempts or None,
        at=utc_time(detail.at),
        line=line,
        settled_at=settled_at,
    )
