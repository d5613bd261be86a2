"""Submitting: a file or rows become a job, or a plan; the same request with the same key makes one only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any, NamedTuple
from weakref import WeakValueDictionary

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import State

from config.web import Scope
from ledger.ledger import Ledger
from relabel.job_status import SubmittedJob
from relabel.jobs import JobSeen, see_job
from relabel.plan import plan_request
from relabel.plan_selection import plan_selection
from relabel.preview import preview_facts
from relabel.results import PreviewResult
from relabel.session import Session
from relabel.submission import SubmittedInput, submit_checked
from relabel.submit import check_opened, request_for
from web.callers import Caller, CallerHere, needs
from web.documented import answers
from web.job_endpoints import job_answer
from web.keyed_requests import KeyedRequest
from web.refusals import Refusal
from web.submit_options import SubmitOptions
from web.uploads import JSON, MULTIPART, TYPES, Upload, uploaded

router = APIRouter(tags=["submitting"])
UPLOADS_AT_ONCE = 16
UPLOADS_OF_ONE = 8
"""Uploads of one caller: nobody takes the room of all others, however slowly theirs come."""
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
_FORM = {"type": "object", "required": ["file"], "properties": {"file": {"type": "array", "items": _FILE}}}
_SELECTION = {"$ref": "#/components/schemas/PlanOfSelection"}


class _Made(NamedTuple):
    """What came of a submission: a job, None where the input was only to be checked, and how that stands.

    `existed`: the job was made before. `input` is what was submitted, None where nothing is known of it.
    """

    job_id: str | None
    existed: bool
    input: SubmittedInput | None
    seen: JobSeen | None = None


def _submits(json: dict[str, Any]) -> dict[str, Any]:
    """Return the options of an endpoint that takes a file, or JSON of this schema."""
    needed, lines = needs(Scope.SUBMIT), {kind: {"schema": {"type": "string"}} for kind in TYPES}
    body = {"required": True, "content": {MULTIPART: {"schema": _FORM}, JSON: {"schema": json}, **lines}}
    return needed | {"openapi_extra": needed["openapi_extra"] | {"requestBody": body}, "responses": ANSWERS}


@router.post("/v1/jobs", **_submits(_ROWS))
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


@router.post("/v1/plans", **_submits({"anyOf": [_ROWS, _SELECTION]}))
async def submit_plan(
    request: Request,
    caller: CallerHere,
    options: Annotated[SubmitOptions, Query()],  # noqa: ARG001 - as above
    idempotency_key: Key = None,
) -> JSONResponse:
    """Submit a file, rows or a selection as a plan: a job that reads what is there and shows what would change.

    A file and rows as for a job. For `{"select": {"where": ...}, "set": {"team": ...}}` workers read the list of
    completions first: meanwhile the plan is `submitting`, and its `selection` says how far that is.
    """
    return await _submit(request, caller, idempotency_key, plan=True)


async def _submit(request: Request, caller: Caller, key: str | None, *, plan: bool) -> JSONResponse:
    state = request.app.state
    keyed = KeyedRequest(caller.token or caller.acts_as, key) if key else None
    async with upload_turn(state, caller.acts_as), _alone(state.ledger, keyed), uploaded(request) as upload:
        if upload.selection is not None and not plan:
            raise Refusal("invalid_request", "what is selected is planned first: send it to POST /v1/plans.")
        await state.callers.require_valid(caller)

        async def submit(session: Session) -> _Made:
            return await _once(session, upload, keyed, plan=plan)

        made: _Made = await state.work.run(caller.acts_as, submit)
    return _answer(made)


@asynccontextmanager
async def _alone(ledger: Ledger, keyed: KeyedRequest | None) -> AsyncIterator[None]:
    """Hold the key of a request, where it has one."""
    if keyed is None:
        yield
        return
    async with keyed.alone(ledger):
        yield


async def _once(session: Session, upload: Upload, keyed: KeyedRequest | None, *, plan: bool) -> _Made:
    """Make the job of an upload, or find the one that the same request made before."""
    made: _Made | None = None

    async def make(job_id: str) -> str | None:
        nonlocal made
        made = await _made(session, upload, job_id, plan=plan)
        return made.job_id

    if keyed is None:
        await make("")
    else:
        digest = f"plan {upload.digest()}" if plan else upload.digest()  # the same rows as a job are another request
        job_id, _ = await keyed.once(session.ledger, digest, make)
        made = made or _Made(job_id, existed=True, input=None)
    assert made is not None  # noqa: S101 - for the types: whoever returns has made or found one
    seen = None if made.job_id is None else await see_job(session, made.job_id)
    return made._replace(seen=seen)


async def _made(session: Session, upload: Upload, job_id: str, *, plan: bool) -> _Made:
    if upload.selection is not None:
        asked, of = upload.selection.asked, upload.selection.options
        return _Made(await plan_selection(session, asked, of, job_id=job_id), existed=False, input=None)
    options = upload.options
    for_files = options.for_files([file.name for file in upload.files], upload.layout)
    ask = plan_request if plan else request_for
    request = ask(for_files, session.settings, by=session.user, hold=options.hold)._replace(job_id=job_id)
    with check_opened(for_files, session.settings, upload.files) as checked:
        made = await submit_checked(
            session, checked, for_files, request, confirmed=options.confirmed, only_check=options.check
        )
    submitted = made.submitted
    return _Made(submitted.job_id if submitted else None, existed=bool(submitted and submitted.existed), input=made)


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
    headers = {"Location": f"/v1/jobs/{job['job_id']}"}
    return JSONResponse(job, 200 if made.existed else 201, headers)


class UploadTurns:
    """The room for uploads of this server."""

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._all = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._of_each = WeakValueDictionary[str, asyncio.Semaphore]()

    @asynccontextmanager
    async def turn(self, who: str) -> AsyncIterator[None]:
        """Wait for room for one more upload of a caller. Raises Refusal where there is none in time."""
        own = self._of_each.setdefault(who, asyncio.Semaphore(UPLOADS_OF_ONE))
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._wait_s):
                    await stack.enter_async_context(own)
                    await stack.enter_async_context(self._all)
            except TimeoutError:
                what = f"{UPLOADS_AT_ONCE} uploads are under way, or {UPLOADS_OF_ONE} of yours."
                raise Refusal("busy", what, retry_after_s=WAIT_S) from None
            yield


@asynccontextmanager
async def upload_turn(state: State, who: str) -> AsyncIterator[None]:
    """Wait for room for one more upload of a caller, and count it while it runs."""
    async with state.uploads.turn(who):
        with state.metrics.uploads.track_inprogress():
            yield
