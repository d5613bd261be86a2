"""Reports a job: its rows with what became of each, its pace, or its counts and causes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal, NamedTuple

from ledger.errors import StateLost
from ledger.job import Job, JobState, remedy_of, rows_lost
from ledger.job_spec import JobSpec, Kind
from ledger.row import Outcome
from relabel.errors import InvalidInput, RowsLost, WrongState
from relabel.findings import Findings, collect_findings
from relabel.pace import job_pace, pace_lines
from relabel.session import Session
from report.diff import WRITTEN, CsvDiff, JsonlDiff, diff_lines
from report.lines import report_lines
from report.rows import FOLDED, WORDS

BOM = b"\xef\xbb\xbf"
"""The byte order mark in UTF-8."""

HOW_TO_FEED_BACK = (
    "it can be submitted as it is, or corrected. Keep one column relabel.* (JSONL: the field relabel): by it a report "
    "is known, and the ' before what a spreadsheet would run is taken off."
)
"""What to know before a written report is used as input."""


class ReportOptions(NamedTuple):
    """Which rows, and how. No word means all, with `diff` those that may have been written; no layout the input's.

    `only` holds words of `report.rows.WORDS`: outcomes, and `folded`, of which a diff has none. `diff` reports each
    changed key with its value before and after instead, `pace` how the job went over its life (`relabel.pace`). `bom`
    begins a CSV report with the mark by which Excel knows UTF-8.
    """

    only: frozenset[str] = frozenset()
    layout: Literal["csv", "jsonl"] | None = None
    diff: bool = False
    bom: bool = False
    pace: bool = False


async def job_report(session: Session, job_id: str, options: ReportOptions) -> AsyncIterator[bytes]:
    """Return the report's lines, which are read from the ledger as they are taken.

    Raises:
        NoSuchJob: there is no such job.
        WrongState: the job is still being stored.
        InvalidInput: a diff was asked for, and the job kept no before-images, or of folded rows, which have none; the
            pace together with rows, or of a job that kept none.
        RowsLost: rows of the job are gone from Redis; also while the lines are taken.

    """
    job = await session.ledger.jobs.get(job_id)
    if job.state is JobState.SUBMITTING:
        raise WrongState(f"job {job_id} is still being stored; try again when `relabel status` says running.")
    if job.state is JobState.LOST:
        raise _rows_lost(job.spec)
    if options.diff and not job.spec.journal:
        raise InvalidInput(f"job {job_id} did not keep what was there before (--no-undo), so there is no --diff.")
    if options.diff and FOLDED in options.only:
        raise InvalidInput("a diff has no folded rows; the row that took one over shows the change.")
    if options.bom and not _is_csv(job, options):
        raise InvalidInput("--bom is for CSV reports, and this one is JSONL; leave it out, or add --format csv.")
    lines = await _pace(session, job, options) if options.pace else _lines(session, job, options)
    return _whole(lines, job.spec, BOM if options.bom else b"")


async def job_findings(session: Session, job_id: str) -> tuple[Job, Findings]:
    """Return the job, and what went wrong in it.

    Raises:
        NoSuchJob: there is no such job.

    """
    job = await session.ledger.jobs.get(job_id)
    return job, await collect_findings(session, job)


async def _pace(session: Session, job: Job, options: ReportOptions) -> AsyncIterator[bytes]:
    if options.diff or options.only:
        raise InvalidInput("--pace is of the whole job and not of rows; leave --diff and --only (outcome) out.")
    pace = await job_pace(session, job)
    if pace is None:
        raise InvalidInput(f"job {job.spec.job_id} was submitted with relabel 0.1, which kept nothing of its pace.")
    return _each(pace_lines(pace, "csv" if _is_csv(job, options) else "jsonl"))


async def _each(lines: list[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line


def _lines(session: Session, job: Job, options: ReportOptions) -> AsyncIterator[bytes]:
    ledger, spec = session.ledger, job.spec
    if not options.diff:
        return report_lines(ledger, spec, only=options.only or frozenset(WORDS), layout=options.layout)
    id_column = spec.columns.id_column
    is_csv = _is_csv(job, options)
    shown = _DIFF_OF.get(spec.kind, WRITTEN)
    only = frozenset(outcome for outcome in Outcome if outcome.word in options.only) or shown
    return diff_lines(ledger, spec, CsvDiff(id_column) if is_csv else JsonlDiff(id_column), only)


_DIFF_OF = {Kind.PLAN: frozenset({Outcome.WOULD_CHANGE}), Kind.VERIFY: frozenset({Outcome.DRIFTED})}
"""The rows that a diff of a job that only reads is about."""


def _is_csv(job: Job, options: ReportOptions) -> bool:
    return (options.layout or job.spec.columns.format) == "csv"


async def _whole(lines: AsyncIterator[bytes], spec: JobSpec, head: bytes) -> AsyncIterator[bytes]:
    yield head
    try:
        async for line in lines:
            yield line
    except StateLost as error:
        raise _rows_lost(spec) from error


def _rows_lost(spec: JobSpec) -> RowsLost:
    return RowsLost(f"{rows_lost(spec.job_id, 'there is no whole report', remedy_of(spec))}.")
