"""Answers errors as RFC 9457 problems: a stable code, a sentence, the place in the input, the next step."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from config.checks import said_plainly
from config.text import printable, redact
from ledger.connect import AWAY, NoConnectionFree, describe
from ledger.errors import NeedsApproval, NoSuchJob
from relabel.errors import NeedsConfirmation, RowsRejected, WrongState
from relabel.gone import expired
from relabel.possible import possible_actions
from relabel.problems import PROBLEMS, problem_of
from relabel.wording import in_words_of_programs
from web.acting import session_of
from web.refusals import REFUSALS, Refusal

SHOWN_CHARS = 1000
MOST_ERRORS = 20
_BY_STATUS = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}


def problem(
    code: str,
    status: int,
    title: str,
    detail: str,
    next_step: str,
    *,
    facts: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return an answer of the type `application/problem+json`."""
    content = {
        "type": f"urn:relabel:problem:{code}",
        "title": title,
        "status": status,
        "detail": printable(redact(detail, strangers=True), SHOWN_CHARS),
        "code": code,
        "next_step": next_step or None,
    }
    content |= facts or {}
    return JSONResponse(content, status, dict(headers or {}), media_type="application/problem+json")


def refused(code: str, detail: str, **facts: Any) -> JSONResponse:
    """Return the answer to a request that is refused."""
    return _of_refusal(Refusal(code, detail, **facts))


def add_handlers(app: FastAPI) -> None:
    """Let the application answer each error as a problem."""
    for known in PROBLEMS:
        app.add_exception_handler(known.error, _known)
    app.add_exception_handler(NoSuchJob, _no_such_job)
    for refused in (WrongState, NeedsApproval):
        app.add_exception_handler(refused, _wrong_state)
    for away in set(AWAY) - {OSError}:  # what a disk or a client's connection raises, too
        app.add_exception_handler(away, _away)
    app.add_exception_handler(NoConnectionFree, _busy)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _failed)


async def answer_of(request: Request, error: Exception) -> JSONResponse | None:
    """Return how an error is answered; None for one that nobody expects."""
    handlers = request.app.exception_handlers
    handler = next((handlers[kind] for kind in type(error).__mro__ if kind in handlers and kind is not Exception), None)
    return None if handler is None else await handler(request, error)


async def _known(_request: Request, error: Exception) -> JSONResponse:
    return _answer(error, {})


def _answer(error: Exception, more: dict[str, Any]) -> JSONResponse:
    found = problem_of(error) or PROBLEMS[-1]
    facts: dict[str, Any] = more | {
        name: getattr(error, name) for name in ("line", "column") if getattr(error, name, None) is not None
    }
    detail = in_words_of_programs(str(error))
    if isinstance(error, NoSuchJob):
        detail = f"there is no job {printable(error.job_id, 80)!r}."
    elif isinstance(error, RowsRejected):
        facts |= error.facts
        for each in facts["rejections"]:
            each["reason"] = in_words_of_programs(each["reason"])
    elif isinstance(error, NeedsConfirmation):
        facts["questions"] = [{"code": code, "text": in_words_of_programs(text)} for code, text in error.questions]
        facts["preview"] = error.preview
        detail = "; ".join(each["text"] for each in facts["questions"]) + "; nothing was stored."
    headers = {"Retry-After": "5"} if found.status == 503 else {}
    return problem(found.code, found.status, found.title, detail, found.next_step, facts=facts, headers=headers)


async def _no_such_job(request: Request, error: Exception) -> JSONResponse:
    """Answer that there is no such job, or that it is kept no more."""
    gone = await expired(session_of(request), cast("NoSuchJob", error).job_id)
    return await _known(request, gone or error)


async def _wrong_state(request: Request, error: Exception) -> JSONResponse:
    """Answer which state the job is in, and what can be done with it."""
    facts: dict[str, Any] = {}
    with contextlib.suppress(KeyError, NoSuchJob):
        job = await session_of(request).ledger.jobs.get(request.path_params["job_id"])
        facts = {"state": str(job.state), "actions": possible_actions(job)}
    return _answer(error, facts)


async def _away(_request: Request, error: Exception) -> JSONResponse:
    kind = next(each for each in PROBLEMS if each.code == "redis_unreachable")
    headers = {"Retry-After": "5"}
    return problem(kind.code, kind.status, kind.title, describe(error), kind.next_step, headers=headers)


async def _busy(_request: Request, _error: Exception) -> JSONResponse:
    """Answer that others are first: nothing is wrong with Redis."""
    return refused("busy", "more is asked of this server than it can answer just now.", retry_after_s=5)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, Refusal):
        return _of_refusal(error)
    error = cast("HTTPException", error)
    code = _BY_STATUS.get(error.status_code, "invalid_request")
    kind = REFUSALS[code]
    detail = kind.title if code != "invalid_request" else str(error.detail)
    return problem(code, kind.status, kind.title, f"{detail}.", kind.next_step, headers=error.headers)


def _of_refusal(error: Refusal) -> JSONResponse:
    kind = REFUSALS[error.code]
    return problem(
        error.code,
        kind.status,
        kind.title,
        str(error.detail),
        kind.next_step,
        facts=error.facts,
        headers=error.headers,
    )


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """Answer what pydantic found wrong, without the value: it may be a row or a key."""
    found = [
        {
            "in": ".".join(printable(str(part), 80) for part in each["loc"]),
            "reason": printable(said_plainly(each["msg"]), 200),
        }
        for each in cast("RequestValidationError", error).errors()[:MOST_ERRORS]
    ]
    kind = REFUSALS["invalid_request"]
    detail = "; ".join(f"{each['in']}: {each['reason']}" for each in found[:3])
    return problem("invalid_request", kind.status, kind.title, detail, kind.next_step, facts={"errors": found})


async def _failed(_request: Request, _error: Exception) -> JSONResponse:
    """Answer an error of ours; `web.peers` logs it, without its message, which may quote a row."""
    return refused("internal", "the server failed; its log says where.")
