"""Doing something with a job: a page that says what will happen to how many rows, and a form that does it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Form, Request
from fastapi.responses import RedirectResponse, Response

from relabel.possible import possible_actions
from web.acting import session_of
from web.callers import Caller
from web.console.actions import ACTIONS, Action, Changed, Shown
from web.console.forms import FormCheck
from web.console.pages import Reader, new_router, render
from web.job_endpoints import JobId
from web.refusals import Refusal

router = new_router()


@router.get("/jobs/{job_id}/actions/{word}")
async def show_action(request: Request, caller: Reader, job_id: JobId, word: str) -> Response:
    """Show what an action will do, and ask."""
    return await _ask(request, caller, job_id, _action(word))


@router.post("/jobs/{job_id}/actions/{word}")
async def carry_out(
    request: Request,
    caller: Reader,
    _: FormCheck,
    job_id: JobId,
    word: str,
    *,
    state: Annotated[str, Form(max_length=40)] = "",
    rows: Annotated[int | None, Form(ge=0)] = None,
    reason: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Do what the form says, unless the job is no longer as it was shown."""
    action = _action(word)
    _require_scope(caller, action)
    job = await session_of(request).ledger.jobs.get(job_id)
    if str(job.state) != state or word not in possible_actions(job):
        return await _ask(request, caller, job_id, action, changed_from=state, rows_before=rows)
    try:
        made = await _run(
            request, caller, action, lambda session: action.carry_out(session, job, Shown([], rows), reason)
        )
    except Changed:
        return await _ask(request, caller, job_id, action, changed_from=state, rows_before=rows)
    return RedirectResponse(f"/jobs/{made}", 303)


async def _ask(
    request: Request,
    caller: Caller,
    job_id: str,
    action: Action,
    *,
    changed_from: str = "",
    rows_before: int | None = None,
) -> Response:
    """Return the confirmation; where the job has changed since it was shown last, with both."""
    session = session_of(request)
    job = await session.ledger.jobs.get(job_id)
    possible = action.word in possible_actions(job)
    permitted = caller.permits(action.scope)
    shown = await _run(request, caller, action, lambda each: action.show(each, job)) if possible and permitted else None
    return render(
        request,
        "action.html",
        status=409 if changed_from else 200,
        job=job,
        action=action,
        shown=shown,
        permitted=permitted,
        others=possible_actions(job),
        changed_from=changed_from,
        rows_before=rows_before,
    )


async def _run(request: Request, caller: Caller, action: Action, use_case: Any) -> Any:
    """Run a use case here, or among the work that takes long."""
    if action.counts_rows:
        return await request.app.state.work.run(caller.acts_as, use_case)
    return await use_case(session_of(request))


def _action(word: str) -> Action:
    if word not in ACTIONS:
        raise Refusal("not_found", "there is no such page.")
    return ACTIONS[word]


def _require_scope(caller: Caller, action: Action) -> None:
    if not caller.permits(action.scope):
        raise Refusal("missing_scope", f"this needs the scope {action.scope}.", scope=str(action.scope))
