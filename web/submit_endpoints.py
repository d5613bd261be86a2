"""Submitting: a file or rows become a job, or a plan; the same request with the same key makes one only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import State

from config.web import Scope
from ledger.idempotency import LOCK_S, IdempotencyKeys, SubmittedWithKey
from relabel.job_status import SubmittedJob
from relabel.jobs import JobSeen, see_job
from relabel.plan import plan_request
from relabel.preview import preview_facts
from relabel.results import PreviewResult
from relabel.session import Session
from relabel.submission import SubmittedInput, submit_checked
from relabel.submit import check_opened, request_for
from web.callers import Caller, CallerHere, needs
from web.documented import answers
from web.job_endpoints import job_answer
from web.refusals import Refusal
from web.submit_options import SubmitOptions
from web.uploads import JSON, MULTIPART, TYPES, Upload, uploaded

router = APIRouter(tags=["submitting"])
UPLOADS_AT_ONCE = 16
WAIT_S = 10.0
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="A word of your own for this request: sent again within 24 h, it makes no second job.",
    ),
]
CODES = (
    "needs_confirmation", "rows_rejected", "unreadable_file", "invalid_input", "too_large", "too_slow", "no_room",
    "unsupported_media_type", "idempotency_in_progress", "idempotency_key_reused", "busy", "job_expired",
)  # fmt: skip
ANSWERS = answers(SubmittedJob | PreviewResult, *CODES)
ANSWERS[201] = answers(SubmittedJob)[200] | {"description": "The new job."}
_FILE = {"type": "string", "format": "binary"}
_ROWS = {"type": "object", "required": ["rows"], "properties": {"rows": {"type": "array", "items": {"type": "object"}}}}
BODY = {
    "required": True,
    "content": {
        MULTIPART: {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": {"type": "array", "items": _FILE}},
            }
        },
        JSON: {"schema": _ROWS},
        **{kind: {"schema": {"type": "string"}} for kind in TYPES},
    },
}


class _Made(NamedTuple):
    """What came of a submission, and its digest."""

    digest: str
    known: bool
    input: SubmittedInput | None
    seen: JobSeen | None


def _submits() -> dict[str, Any]:
    needed = needs(Scope.SUBMIT)
    return needed | {"openapi_extra": needed["openapi_extra"] | {"requestBody": BODY}, "responses": ANSWERS}


@router.post("/v1/jobs", **_submits())
async def submit_job(
    request: Request,
    caller: CallerHere,
    options: Annotated[SubmitOptions, Query()],  # noqa: ARG001 - for the document; form fields and JSON count, too
    idempotency_key: Key = None,
) -> JSONResponse:
    """Submit a file or rows as a job: 201, or 200 where the same content or key was submitted before.

    The body is a form with files in the field `file`, the file itself, or `{"rows": [{"id": ..., "metadata": {...}}]}`,
    plain, gzip or zstd. Options are form fields, members beside `rows`, or query parameters. `check=true` returns the
    preview and stores nothing.
    """
    return await _submit(request, caller, idempotency_key, plan=False)


@router.post("/v1/plans", **_submits())
async def submit_plan(
    request: Request,
    caller: CallerHere,
    options: Annotated[SubmitOptions, Query()],  # noqa: ARG001 - as above
    idempotency_key: Key = None,
) -> JSONResponse:
    """Submit a file or rows as a plan: a job that reads what is there and shows what would change. As for a job."""
    return await _submit(request, caller, idempotency_key, plan=True)


async def _submit(request: Request, caller: Caller, key: str | None, *, plan: bool) -> JSONResponse:
    state = request.app.state
    keys = IdempotencyKeys(state.ledger.redis)
    owner = caller.token or caller.acts_as
    async with upload_turn(state), _alone(keys, owner, key):
        known = await keys.find(owner, key) if key else None
        async with uploaded(request) as upload:

            async def submit(session: Session) -> _Made:
                digest = upload.digest() if key else ""
                if known is not None:
                    return await _repeated(session, known, digest)
                return await _made(session, upload, digest, plan=plan)

            made = await state.work.run(caller.acts_as, submit)
        if key and made.seen and not made.known:
            await keys.keep(owner, key, SubmittedWithKey(made.seen.job.spec.job_id, made.digest))
    return _answer(made)


async def _repeated(session: Session, known: SubmittedWithKey, digest: str) -> _Made:
    if known.digest != digest:
        raise Refusal("idempotency_key_reused", f"the key made job {known.job_id}, of other content or options.")
    return _Made(digest, known=True, input=None, seen=await see_job(session, known.job_id))


async def _made(session: Session, upload: Upload, digest: str, *, plan: bool) -> _Made:
    options = upload.options
    for_files = options.for_files([file.name for file in upload.files], upload.layout)
    ask = plan_request if plan else request_for
    with check_opened(for_files, session.settings, upload.files) as checked:
        made = await submit_checked(
            session,
            checked,
            for_files,
            ask(for_files, session.settings, by=session.user, hold=options.hold),
            confirmed=options.confirmed,
            only_check=options.check,
        )
    seen = None if made.submitted is None else await see_job(session, made.submitted.job_id)
    return _Made(digest, known=False, input=made, seen=seen)


def _answer(made: _Made) -> JSONResponse:
    found = made.input
    if made.seen is None:
        facts = preview_facts(found.preview) if found else {}
        return JSONResponse({"object": "preview"} | facts)
    job = job_answer(made.seen) | {
        "rejected_total": made.seen.job.counts.rejected,
        "rejections": found.rejections if found else [],
        "warnings": list(found.preview.outlook.warnings) if found and found.preview.outlook else [],
    }
    existed = found is None or found.submitted is None or found.submitted.existed
    headers = {"Location": f"/v1/jobs/{job['job_id']}"}
    return JSONResponse(job, 200 if existed else 201, headers)


@asynccontextmanager
async def upload_turn(state: State) -> AsyncIterator[None]:
    """Wait for room for one more upload of this server."""
    try:
        async with asyncio.timeout(WAIT_S):
            await state.uploads.acquire()
    except TimeoutError:
        raise Refusal("busy", f"{UPLOADS_AT_ONCE} uploads are under way.", retry_after_s=WAIT_S) from None
    try:
        with state.metrics.uploads.track_inprogress():
            yield
    finally:
        state.uploads.release()


@asynccontextmanager
async def _alone(keys: IdempotencyKeys, owner: str, key: str | None) -> AsyncIterator[None]:
    """Refuse a request whose key another one has that is still running."""
    if key is None:
        yield
        return
    async with keys.lock(owner, key).held() as ours:
        if not ours:
            what = "the first request with this key is still running."
            raise Refusal("idempotency_in_progress", what, retry_after_s=LOCK_S / 10)
        yield
