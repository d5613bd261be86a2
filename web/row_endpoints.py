"""The rows of a job, page by page and as a report; and what changed a completion."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse

from config.web import Scope
from relabel.history import history, history_facts
from relabel.report import ReportOptions, job_report
from relabel.results import CompletionHistory, RowResult
from relabel.rows import RowFilter, page_of_rows
from report.lines import WRITE_TOGETHER
from report.rows import WORDS
from web.callers import CallerHere, SessionHere, Watch, needs
from web.documented import JOB, answers, files, lists
from web.job_endpoints import JobId
from web.pages import After, RowLimit, page
from web.refusals import Refusal

router = APIRouter(tags=["rows"])
Outcomes = Annotated[
    str,
    Query(max_length=200, description=f"Rows of these outcomes, such as failed,rejected: {', '.join(WORDS)}."),
]
Codes = Annotated[
    str, Query(max_length=1000, description="Rows that ended with these codes, such as timeout,not_found.")
]
_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


@router.get(
    "/v1/jobs/{job_id}/rows",
    responses=lists(RowResult, "wrong_state", "state_lost", "invalid_input", *JOB),
    **needs(Scope.READ),
)
async def list_rows(
    session: SessionHere,
    job_id: JobId,
    *,
    outcome: Outcomes = "",
    codes: Codes = "",
    limit: RowLimit = 20,
    after: After = "",
) -> JSONResponse:
    """List the rows of a job with what each changed.

    Those that were or will be sent come first, then those that were rejected, then those for which nothing is sent. A
    page with a filter may be short, even empty, although more follow: go on while `has_more`.
    """
    found = await page_of_rows(session, job_id, limit, row_filter_of(outcome, codes), after=after)
    return page(found.rows, has_more=found.has_more, last=found.last if found.has_more else None)


@router.get(
    "/v1/jobs/{job_id}/report",
    response_class=StreamingResponse,
    responses=files(
        "Every row with its outcome, in the input's own layout.",
        *_TYPES.values(),
        codes=("wrong_state", "state_lost", *JOB),
    ),
    **needs(Scope.READ),
)
async def get_report(
    request: Request,
    session: SessionHere,
    caller: CallerHere,
    job_id: JobId,
    *,
    outcome: Outcomes = "",
    format: Annotated[  # noqa: A002 - as the option is called
        Literal["csv", "jsonl"] | None, Query(description="Default: the input's.")
    ] = None,
    diff: Annotated[bool, Query(description="What was changed, key by key: the value before and after.")] = False,
    bom: Annotated[bool, Query(description="Begin a CSV report with a byte order mark, for Excel.")] = False,
    pace: Annotated[bool, Query(description="How the job went over its life, instead of its rows.")] = False,
) -> StreamingResponse:
    """Stream the report of a job, as `relabel report` writes it. It is broken off where the token is revoked."""
    options = ReportOptions(outcome_words_of(outcome), format, diff, bom, pace)
    lines = await job_report(session, job_id, options)
    layout = format or (await session.ledger.jobs.get(job_id)).spec.columns.format
    headers = {"Content-Disposition": f'attachment; filename="report.{layout}"'}
    pieces = _together(lines)
    first = await anext(pieces)  # what is wrong at its beginning is still an answer of its own
    sent = Watch(request.app.state.callers, caller).pieces(_behind(first, pieces))
    return StreamingResponse(sent, media_type=_TYPES[layout], headers=headers)


@router.get("/v1/completions/{completion_id}/history", responses=answers(CompletionHistory), **needs(Scope.READ))
async def get_history(
    session: SessionHere,
    completion_id: Annotated[str, Path(min_length=1, max_length=1000, description="The id of a completion.")],
) -> JSONResponse:
    """Return what changed a completion: when, by which job, from what to what, and what undid it."""
    return JSONResponse({"object": "history"} | history_facts(await history(session, completion_id)))


def outcome_words_of(outcome: str) -> frozenset[str]:
    """Return the outcomes of a list such as `failed,rejected`; raise Refusal with what is none."""
    words = frozenset(word.strip() for word in outcome.split(",") if word.strip())
    if words - set(WORDS):
        raise Refusal("invalid_request", f"unknown outcome; choose from {', '.join(WORDS)}.")
    return words


def row_filter_of(outcome: str, codes: str) -> RowFilter:
    """Return which rows a list is to have; raise Refusal with an outcome that is none."""
    return RowFilter(outcome_words_of(outcome), frozenset(code.strip() for code in codes.split(",") if code.strip()))


async def _behind(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in pieces:
        yield piece


async def _together(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield lines in large pieces, as each piece is a chunk of the answer."""
    group, size = list[bytes](), 0
    async for line in lines:
        group.append(line)
        size += len(line)
        if size >= WRITE_TOGETHER:
            yield b"".join(group)
            group, size = [], 0
    yield b"".join(group)
