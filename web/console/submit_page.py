"""Submitting a file: it is stored and held, its preview is shown, and somebody starts it; or it is planned first."""

from __future__ import annotations

import hmac
from contextlib import ExitStack
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from config.web import Scope
from ledger.job import JobState
from producer.questions import QUESTIONS
from relabel.jobs import JobSeen, see_job
from relabel.plan import plan_request
from relabel.session import Session
from relabel.submission import SubmittedInput, submit_checked
from relabel.submit import check_opened, request_for
from web.console.pages import Reader, form_check, new_router, render
from web.refusals import Refusal
from web.submit_endpoints import upload_turn
from web.submit_options import SubmitOptions, options_of
from web.uploads import Form, read_form, room_for_uploads

router = new_router()
_OWN_FIELDS = frozenset({"form_check", "first"})
_PLAN = "plan"


class _Made(NamedTuple):
    input: SubmittedInput
    seen: JobSeen


@router.get("/submit")
async def show_submit(request: Request, caller: Reader) -> Response:
    """Ask for a file."""
    return render(request, "submit.html", permitted=caller.permits(Scope.SUBMIT))


@router.post("/submit")
async def submit_file(request: Request, caller: Reader) -> Response:
    """Store a file as a job that is held and show its preview, or as a plan and show that.

    The body is read here, once it is known who sends it.
    """
    if not caller.permits(Scope.SUBMIT):
        raise Refusal("missing_scope", "submitting needs the scope submit.", scope=str(Scope.SUBMIT))
    async with upload_turn(request.app.state, caller.acts_as):
        with ExitStack() as stack, room_for_uploads():
            form = await read_form(request, stack)
            await request.app.state.callers.require_valid(caller)
            given = dict(form.fields)
            if "origin" not in request.headers or not hmac.compare_digest(
                given.get("form_check", "").encode(), form_check(caller).encode()
            ):
                raise Refusal("origin_not_allowed", "this form was not sent by a page of the console.")
            options = _options(form)
            plans = given.get("first") == _PLAN
            made: _Made = await request.app.state.work.run(
                caller.acts_as, lambda session: _store(session, form, options, plans=plans)
            )
    if plans:
        return RedirectResponse(f"/jobs/{made.seen.job.spec.job_id}", 303)
    job = made.seen.job
    is_held = job.state is JobState.HELD
    return render(request, "preview.html", job=job, preview=made.input.preview, made=made.input, is_held=is_held)


def _options(form: Form) -> SubmitOptions:
    """Return the options of the form, of which an empty one is left out."""
    return options_of({name: value for name, value in form.fields if value and name not in _OWN_FIELDS})


async def _store(session: Session, form: Form, options: SubmitOptions, *, plans: bool) -> _Made:
    """Store the file: as a plan, or as a job that waits for whoever looks at its preview."""
    for_files = options.for_files([file.name for file in form.files], None)
    ask = plan_request if plans else request_for
    with check_opened(for_files, session.settings, form.files) as checked:
        asked = ask(for_files, session.settings, by=session.user, hold=not plans)
        made = await submit_checked(session, checked, for_files, asked, confirmed=frozenset(QUESTIONS))
    assert made.submitted is not None  # noqa: S101 - it is None only where a preview alone was asked for
    return _Made(made, await see_job(session, made.submitted.job_id))
