"""A job: its state with the reason, its rows, causes with what to do, who did what, and what was made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Query, Request
from fastapi.responses import Response

from ledger.audit import AuditLine
from ledger.job import Counts, Job, JobState
from relabel.errors import RowsLost
from relabel.find_row import find_row
from relabel.findings import Findings, collect_findings
from relabel.jobs import JobSeen, job_log, see_job
from relabel.pace import job_pace, pauses
from relabel.rows import RowPage, page_of_rows
from relabel.session import Session
from report.rows import FOLDED
from web.acting import session_of
from web.console.chart import chart_of
from web.console.pages import Reader, new_router, render
from web.job_endpoints import JobId
from web.pages import After
from web.row_endpoints import row_filter_of

router = new_router()
SHOWN_ROWS = 25
SHOWN_ENTRIES = 50
"""Entries of the log that a page has: the latest."""
MOST_GROUPED = 20_000
"""Failed and drifted rows that are grouped by cause for a page: each costs a read."""
CAUSES_WITHIN_S = 0.4
"""Time for grouping rows that failed or drifted by cause: it takes longer the more there are."""
WORST_FIRST = ("failed", "drifted", "rejected", "updated", "would_change", "unchanged", "cancelled", "pending", FOLDED)
_NO_ROWS = RowPage([], "", has_more=False)


class RowsAsked(NamedTuple):
    """Which rows a page is to show: those of an outcome and of codes, behind a place, or from an id or a line on."""

    outcome: str = ""
    codes: str = ""
    after: str = ""
    find: str = ""


async def _rows_asked(
    *,
    outcome: Annotated[str, Query(max_length=200)] = "",
    codes: Annotated[str, Query(max_length=1000)] = "",
    after: After = "",
    find: Annotated[str, Query(max_length=1000)] = "",
) -> RowsAsked:
    return RowsAsked(outcome, codes, after, find.strip())


class RowsShown(NamedTuple):
    """Rows of a page; `found` is the place of the row that was looked for, None where there is none."""

    page: RowPage
    found: str | None = None


@router.get("/jobs/{job_id}")
async def show_job(
    request: Request, _: Reader, job_id: JobId, asked: Annotated[RowsAsked, Depends(_rows_asked)]
) -> Response:
    """Show a job, and a page of its rows."""
    session = session_of(request)
    seen = await see_job(session, job_id)
    log = await job_log(session, job_id)
    return render(
        request,
        "job.html",
        **_standing(session, seen),
        **await _pace(session, seen.job, log),
        findings=await _findings(session, seen),
        rows=await _rows(session, seen, asked),
        asked=asked,
        outcomes=_outcomes(seen.job.counts),
        log=log[-SHOWN_ENTRIES:],
        earlier=max(0, len(log) - SHOWN_ENTRIES),
    )


@router.get("/jobs/{job_id}/standing")
async def show_standing(request: Request, _: Reader, job_id: JobId) -> Response:
    """Show what changes while a job runs, for pages that show it already."""
    session = session_of(request)
    return render(request, "job_standing.html", **_standing(session, await see_job(session, job_id)))


@router.get("/jobs/{job_id}/pace")
async def show_pace(request: Request, _: Reader, job_id: JobId) -> Response:
    """Show how a job went over its life, for pages that show it already."""
    session = session_of(request)
    job, log = await session.ledger.jobs.get(job_id), await session.ledger.audit.read(job_id)
    return render(request, "job_pace.html", **await _pace(session, job, log))


async def _pace(session: Session, job: Job, log: Sequence[AuditLine]) -> dict[str, Any]:
    pace = await job_pace(session, job)
    chart = chart_of(pace, pauses(log, pace[-1].until)) if pace else None
    return {"pace": pace, "chart": chart, "job_id": job.spec.job_id}


def _standing(session: Session, seen: JobSeen) -> dict[str, Any]:
    explanation = seen.explanation(session.settings.rate.per_minute)
    return {"seen": seen, "job": seen.job, "spec": seen.job.spec, "explanation": explanation}


async def _findings(session: Session, seen: JobSeen) -> Findings | None:
    """Return the causes of failures; None where there are more than can be grouped in the time of a page."""
    counts = seen.job.counts
    if counts.failed + counts.drifted > MOST_GROUPED:
        return None
    try:
        async with asyncio.timeout(CAUSES_WITHIN_S):
            return await collect_findings(session, seen.job)
    except TimeoutError:
        return None


async def _rows(session: Session, seen: JobSeen, asked: RowsAsked) -> RowsShown:
    job = seen.job
    if job.state in {JobState.SUBMITTING, JobState.LOST}:
        return RowsShown(_NO_ROWS)
    found = await find_row(session, job, asked.find) if asked.find else None
    if asked.find and found is None:
        return RowsShown(_NO_ROWS)
    wanted = row_filter_of(asked.outcome, asked.codes)
    try:
        page = await page_of_rows(session, job.spec.job_id, SHOWN_ROWS, wanted, after=asked.after, start=found or "")
    except RowsLost:
        return RowsShown(_NO_ROWS)
    return RowsShown(page, found)


def _outcomes(counts: Counts) -> list[tuple[str, int]]:
    """Return the outcomes that occur, with the rows of each."""
    numbers = {word: getattr(counts, word) for word in WORST_FIRST}
    return [(word, number) for word, number in numbers.items() if number]
