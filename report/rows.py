"""The rows of a report: those of the ledger and those never sent, in the order of the file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence, Set
from typing import NamedTuple, Protocol

from ledger.clock import utc_second, utc_time
from ledger.input_files import InputFile, place_of
from ledger.job_spec import JobSpec, Kind, Mode
from ledger.ledger import Ledger
from ledger.patching import holds
from ledger.row import Outcome, Patch, Rejection, UnsentRow
from ledger.row_reader import ReportedRow, merge_by_line, read_rejections, read_rows, read_unsent
from report.digest import Values, before_and_after

INVALID_CODE = "invalid_row"
"""The code of a rejected row."""
NO_CHANGE_CODE = "no_change"
"""The code of a row that names nothing to change, so that nothing was sent for it."""
FOLDED = "folded"
"""The word for a row that an earlier row of the same id took over; it is not counted among the outcomes."""
WORDS = (*(outcome.word for outcome in Outcome), FOLDED)
"""What a report says of a row."""

AnyRow = ReportedRow | Rejection | UnsentRow


class RowStatus(NamedTuple):
    """The columns of a report on what happened to a row; None where there is nothing to report.

    `before` and `after` are the values of the keys that the row changed, or in a plan would change (`report.digest`);
    `holds` those that a verification, or an apply, found where the row differs.
    """

    outcome: str
    code: str | None = None
    status: int | None = None
    message: str | None = None
    request_id: str | None = None
    attempts: int | None = None
    at: str | None = None
    line: int | None = None
    settled_at: str | None = None
    file: str | None = None
    before: Values | None = None
    after: Values | None = None
    holds: Values | None = None


def status_fields(spec: JobSpec, *, values: bool = False) -> tuple[str, ...]:
    """Return the columns of a report: a job of one file has none for the file.

    A plan shows what would change, other jobs what they changed only with `values`; a verification and an apply what
    they found.
    """
    left_out = set[str]() if spec.files else {"file"}
    left_out |= set() if values or spec.kind is Kind.PLAN else {"before", "after"}
    left_out |= set() if _shows_held(spec) else {"holds"}
    return tuple(field for field in RowStatus._fields if field not in left_out)


class Layout(Protocol):
    """A format of a report, row by row."""

    def head(self) -> bytes:
        """Return what comes before the first row."""

    def row(self, patch: Patch, status: RowStatus) -> bytes:
        """Return the line of a row that was or will be sent."""

    def rejected(self, rejection: Rejection, status: RowStatus) -> bytes:
        """Return the line of a rejected row."""


async def report_rows(ledger: Ledger, spec: JobSpec, only: Set[str]) -> AsyncIterator[AnyRow]:
    """Yield the rows of these words (`WORDS`) by their line in the file; memory holds a shard of them.

    Rows that are carried out oldest first come in that order, and those never sent after them.

    Raises:
        StateLost: some of the rows are gone from Redis.

    """
    outcomes = frozenset(outcome for outcome in Outcome if outcome.word in only)
    sources: list[AsyncIterator[AnyRow]] = [_unsent(ledger, spec, only)]
    if Outcome.REJECTED in outcomes:
        sources.append(read_rejections(ledger.redis, spec))
    sent: AsyncIterator[AnyRow] = read_rows(ledger.redis, spec, only=None if outcomes >= set(Outcome) else outcomes)
    if spec.oldest_first:
        async for row in sent:
            yield row
    else:
        sources.append(sent)
    async for row in merge_by_line(sources):
        yield row


async def _unsent(ledger: Ledger, spec: JobSpec, only: Set[str]) -> AsyncIterator[AnyRow]:
    if not only.isdisjoint({FOLDED, Outcome.UNCHANGED.word}):
        async for row in read_unsent(ledger.redis, spec):
            if _word_of(row) in only:
                yield row


def laid_out(row: AnyRow, layout: Layout, spec: JobSpec) -> bytes:
    """Return one row in the layout, with its place in the job's files."""
    status = row_status(row, spec)
    return layout.rejected(row, status) if isinstance(row, Rejection) else layout.row(row.patch, status)


def row_status(row: AnyRow, spec: JobSpec) -> RowStatus:
    """Return what a report says of a row, with its place in the job's files."""
    file, line = place_of(row.line, spec.files)
    if isinstance(row, Rejection):
        status = _of_rejection(row)
    elif isinstance(row, UnsentRow):
        status = _of_unsent(row, spec.files)
    else:
        before, after = before_and_after(row.outcome, row.patch.metadata, row.before, spec.mode)
        status = _of_row(row)._replace(before=before, after=after, holds=_held(row, spec))
    return status._replace(line=line, file=file)


def _held(row: ReportedRow, spec: JobSpec) -> Values | None:
    """Return what a row that differs was found to hold: the row's keys, in `replace` mode all there are.

    The image of a reviewed row is from before a write of its own where it holds what was expected.
    """
    held, expected = row.before, row.patch.expect or {}
    if row.outcome is not Outcome.DRIFTED or held is None or not _shows_held(spec):
        return None
    if spec.exact and holds(held, expected, spec.mode):
        return None
    return held if spec.mode is Mode.REPLACE else {key: held.get(key) for key in {**row.patch.metadata, **expected}}


def _shows_held(spec: JobSpec) -> bool:
    """Return whether what rows hold that differ is kept: by a verification, and where somebody reviewed the rows."""
    return spec.kind is Kind.VERIFY or spec.exact


def _word_of(row: UnsentRow) -> str:
    return Outcome.UNCHANGED.word if row.folded_into is None else FOLDED


def _of_unsent(row: UnsentRow, files: Sequence[InputFile]) -> RowStatus:
    if row.folded_into is None:
        message = "the row names nothing to change, so nothing was sent"
        return RowStatus(_word_of(row), NO_CHANGE_CODE, message=message)
    place = place_of(row.folded_into, files)
    return RowStatus(_word_of(row), message=f"folded into the row of {place}, as its id is the same")


def _of_rejection(rejection: Rejection) -> RowStatus:
    place = f"column {rejection.column}: " if rejection.column else ""
    return RowStatus(Outcome.REJECTED.word, INVALID_CODE, message=place + rejection.reason)


def _of_row(row: ReportedRow) -> RowStatus:
    detail, word = row.detail, row.outcome.word
    settled_at = utc_second(row.settled_at) if row.settled_at else None
    if detail is None:
        return RowStatus(word, settled_at=settled_at)
    return RowStatus(
        word,
        code=detail.code or None,
        status=detail.status or None,
        message=detail.message or None,
        request_id=detail.request_id or None,
        attempts=detail.attempts or None,
        at=utc_time(detail.at),
        settled_at=settled_at,
    )
