"""Doing something with a job: a page that says what will happen to how many rows, and a form that does it."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from fastapi import Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from ledger.job import Job
from relabel.errors import InvalidInput, WrongState
from relabel.explain import reason_of
from relabel.possible import possible_actions
from web.acting import session_of
from web.callers import Caller
from web.console.actions import ACTIONS, Action, Asked, Changed, Shown, refusal_of
from web.console.forms import FormCheck
from web.console.pages import Reader, new_router, problem_facts, render
from web.job_endpoints import JobId
from web.refusals import Refusal

router = new_router()


class Standing(NamedTuple):
    """What a form was shown with: the job's state with its reason, and the rows that a new job would have."""

    state: str
    because: str
    rows: int | None


def _asked(codes: str, everything: bool, reason: str = "") -> Asked:
    return Asked(reason, frozenset(code.strip() for code in codes.split(",") if code.strip()), everything)


@router.get("/jobs/{job_id}/actions/{word}")
async def show_action(
    request: Request,
    caller: Reader,
    job_id: JobId,
    word: str,
    *,
    codes: Annotated[str, Query(max_length=1000)] = "",
    all: bool = False,  # noqa: A002 - as the option is called
) -> Response:
    """Show what an action will do, and ask."""
    return await _ask(request, caller, job_id, _action(word), _asked(codes, all))


@router.post("/jobs/{job_id}/actions/{word}")
async def carry_out(
    request: Request,
    caller: Reader,
    _: FormCheck,
    job_id: JobId,
    word: str,
    *,
    state: Annotated[str, Form(max_length=40)] = "",
    because: Annotated[str, Form(max_length=2000)] = "",
    rows: Annotated[int | None, Form(ge=0)] = None,
    reason: Annotated[str, Form(max_length=1000)] = "",
    codes: Annotated[str, Form(max_length=1000)] = "",
    all: Annotated[bool, Form()] = False,  # noqa: A002 - as the option is called
) -> Response:
    """Do what the form says, unless the job is no longer as it was shown."""
    action, asked, before = _action(word), _asked(codes, all, reason), Standing(state, because, rows)
    _require_scope(caller, action)
    job = await session_of(request).ledger.jobs.get(job_id)
    if standing_of(job) != (state, because) or word not in possible_actions(job):
        return await _ask(request, caller, job_id, action, asked, before=before)
    try:
        made = await _run(
            request, caller, action, lambda session: action.carry_out(session, job, Shown([], rows), asked)
        )
    except (Changed, WrongState):  # in the moment since
        return await _ask(request, caller, job_id, action, asked, before=before)
    return RedirectResponse(f"/jobs/{made}", 303)


def standing_of(job: Job) -> tuple[str, str]:
    """Return a job's state with its reason, as a form carries it: on one line."""
    return str(job.state), " ".join((reason_of(job) or "").split())


async def _ask(
    request: Request, caller: Caller, job_id: str, action: Action, asked: Asked, *, before: Standing | None = None
) -> Response:
    """Return the confirmation; where the job has changed since it was shown last, with both."""
    job = await session_of(request).ledger.jobs.get(job_id)
    possible, refusal = action.word in possible_actions(job), refusal_of(action, job, caller)
    shown, problem = None, None
    if possible and not refusal:
        try:
            shown = await _run(request, caller, action, lambda session: action.show(session, job, asked))
        except (InvalidInput, WrongState) as error:
            problem = await problem_facts(request, error)
    status = 409 if before else problem["status"] if problem else 200
    return render(
        request,
        "action.html",
        status=status,
        job=job,
        action=action,
        asked=asked,
        shown=shown,
        problem=problem,
        refusal=refusal,
        possible=possible,
        others=possible_actions(job),
        before=before,
        standing=standing_of(job),
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
