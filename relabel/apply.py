"""Applies a plan: makes exactly the changes that it shows, and leaves alone what changed since."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

from config.canary import CanaryShare
from ledger.errors import NoSuchJob, StateLost
from ledger.job import Job, JobState
from ledger.job_spec import Kind
from ledger.row import Outcome, Patch
from ledger.row_reader import read_rows, read_shard
from producer.apply import applied_row
from producer.checked import Checked
from producer.submit import JobRequest, Submitted
from relabel.derived import DerivedOptions, derived_request, derived_rows_lost, settled_job, stage_rows
from relabel.errors import AlteredPlan, InvalidInput, WrongState
from relabel.next_steps import not_made
from relabel.session import Session
from relabel.submit import submit
from relabel.wording import count_of
from report.digest import job_digest, shard_digest
from report.plan_totals import Recount, complete_digest

OLD_S = 86_400.0
"""Age from which a plan is named as old where somebody is asked about it: most completions may have changed since."""
_THE_APPLY = "the apply"
"""By what an apply counts as submitted before: of a plan there is one, whatever rows it holds."""
_LEFT = frozenset({Outcome.CANCELLED, Outcome.PENDING})
"""How rows of a cancelled apply ended that the next one makes."""


class ApplyOptions(NamedTuple):
    """How a plan is to be applied. `rate` is in requests a minute; `here`: in this process tree.

    `canary` is the share of the rows that is carried out first and read back. Where more than `max_changes` would be
    made, none is.
    """

    rate: float | None = None
    name: str | None = None
    canary: CanaryShare | None = None
    here: bool = False
    max_changes: int | None = None


class PreparedApply(NamedTuple):
    """The rows that apply a plan and the request for their job; `age_s` is the age of the plan in seconds.

    `former` is the cancelled apply that made some of the changes already, None where there is none.
    """

    plan: Job
    checked: Checked
    request: JobRequest
    age_s: float
    former: Job | None

    @property
    def is_old(self) -> bool:
        """Whether who is asked about the plan is to know its age."""
        return self.age_s > OLD_S


Confirm = Callable[[PreparedApply], Awaitable[None]]
"""Shows what is about to be applied, and asks; raises Declined where the answer is no."""


async def apply(session: Session, job_id: str, options: ApplyOptions, confirm: Confirm | None = None) -> Submitted:
    """Apply a plan once it is confirmed, or return the job that applies it, or applied it, already.

    Raises:
        NoSuchJob: there is no such job.
        AlteredPlan: what is stored of the plan is not what it found.
        InvalidInput: it is no plan, nothing is left to apply, or it is more than `max_changes`.
        WrongState: it has not finished, or rows of it are lost.
        Declined: the answer was no.

    """
    plan = await applicable_plan(session, job_id, here=options.here)
    prepared = await prepare_apply(session, plan, options)
    if isinstance(prepared, Job):
        return Submitted(prepared.spec.job_id, existed=True)
    with prepared.checked:
        if confirm:
            await confirm(prepared)
        return await submit(session, prepared.checked, prepared.request)


async def applicable_plan(session: Session, job_id: str, *, here: bool) -> Job:
    """Return a plan that has finished; `here` also refuses one for another API than the settings name.

    Raises:
        NoSuchJob: there is no such job.
        InvalidInput: it is no plan, or would change nothing.
        WrongState: it has not finished, or rows of it are lost.

    """
    job = await session.ledger.jobs.get(job_id)
    if job.spec.kind is not Kind.PLAN:
        raise InvalidInput(
            f"job {job_id} is no plan (kind {job.spec.kind}), so there is nothing to apply; "
            f"{_about_kind(job)} makes one to look at first."
        )
    if job.state is not JobState.FINISHED and job.state is not JobState.LOST:
        raise WrongState(f"plan {job_id} is {job.state}, so it does not cover all of its rows; {_about_state(job)}.")
    job = await settled_job(session, job_id, here=here)
    if not job.counts.would_change:
        raise InvalidInput(f"plan {job_id} would change nothing, so there is nothing to apply{_why_nothing(job)}.")
    return job


def _about_kind(job: Job) -> str:
    return "`relabel plan FILE`" if job.spec.kind is Kind.FILE else f"`relabel plan --from {job.spec.job_id}`"


def _about_state(job: Job) -> str:
    job_id = job.spec.job_id
    if job.state in {JobState.PAUSED, JobState.HELD}:
        return f"`relabel resume {job_id}` continues it"
    if job.state is JobState.CANCELLED:
        return f"plan the file again, or the rows that are left with `relabel plan --from {job_id} --only cancelled`"
    return f"`relabel watch {job_id}` follows it to its end"


def _why_nothing(job: Job) -> str:
    failed = job.counts.failed
    return (
        f"; `relabel report {job.spec.job_id} --summary` shows why {count_of(failed, 'row')} failed" if failed else ""
    )


async def prepare_apply(session: Session, plan: Job, options: ApplyOptions) -> PreparedApply | Job:
    """Return the rows that apply a plan (`applicable_plan`), or the job that does so, or did so, already.

    After a cancelled apply these are the rows that it left. The caller closes them.

    Raises:
        AlteredPlan: what is stored of the plan is not what it found.
        InvalidInput: nothing is left to apply, or it is more than `max_changes`.
        WrongState: rows of the plan are lost.

    """
    former = await _last_apply(session, plan)
    if former and former.state is not JobState.CANCELLED:
        return former
    digest = await _digest_of(session, plan)
    checked = await stage_rows(_sealed_rows(session, plan, former, digest), plan.spec)
    try:
        _require_some(plan, checked, former)
        _require_few(plan, checked, options.max_changes)
    except InvalidInput:
        checked.close()
        raise
    age_s = await session.ledger.jobs.now() - (plan.finished_at or plan.submitted_at)
    return PreparedApply(plan, checked, _request(session, plan, options, digest), max(0.0, age_s), former)


async def _digest_of(session: Session, plan: Job) -> str:
    try:
        return plan.digest or await complete_digest(session.ledger, plan.spec)
    except StateLost as error:
        raise derived_rows_lost(plan.spec) from error


def _request(session: Session, plan: Job, options: ApplyOptions, digest: str) -> JobRequest:
    spec, derived = plan.spec, DerivedOptions(options.rate, options.name)
    request = derived_request(session, plan, derived, kind=Kind.APPLY, mode=spec.mode, journal=True, remark="")
    return request._replace(
        canary=options.canary,
        exact=True,
        identity=_THE_APPLY,
        max_failures=spec.max_failures,
        priority=spec.priority,
        approval=request.approval._replace(digest=digest),
    )


async def _last_apply(session: Session, plan: Job) -> Job | None:
    """Return the last apply of a plan, None where there is none that is kept."""
    made = await session.ledger.audit.made_of(plan.spec.job_id)
    for job_id in [child.job_id for child in made if child.kind == Kind.APPLY][::-1]:
        with contextlib.suppress(NoSuchJob):
            job = await session.ledger.jobs.get(job_id)
            if job.state is not JobState.LOST:
                return job
    return None


async def _lines_left(session: Session, former: Job) -> set[int]:
    """Return the lines of the rows that a former apply left: those before it were ended by the applies before it."""
    return {row.line async for row in read_rows(session.ledger.redis, former.spec, only=_LEFT)}


async def _sealed_rows(session: Session, plan: Job, former: Job | None, digest: str) -> AsyncIterator[Patch]:
    """Yield the rows that apply a plan, those that a former apply left, and check that nobody altered the plan.

    Raises:
        AlteredPlan: the plan is not as its digests and its counts have it.
        StateLost: rows of the plan, or of the former apply, are gone from Redis.

    """
    ledger, spec = session.ledger, plan.spec
    left = await _lines_left(session, former) if former else None
    stored, found = await ledger.plans.digests(spec), list[str]()
    counts = Recount(await ledger.plans.read(spec.job_id))
    for number in range(spec.shards):
        rows = await read_shard(ledger.redis, spec, number)
        found.append(shard_digest(rows, spec.mode))
        counts.add(rows, spec.mode)
        for row in rows:
            patch = applied_row(row, spec.mode)
            if patch is not None and (left is None or patch.line in left):
                yield patch
    if found != stored or job_digest(spec.target, spec.mode, found) != digest or not counts.agrees:
        raise AlteredPlan(spec.job_id)


def _require_some(plan: Job, checked: Checked, former: Job | None) -> None:
    if checked.total or former is None:
        return
    again = f"; {command} plans again what it did not change" if (command := not_made(former)) else ""
    raise InvalidInput(
        f"every change of plan {plan.spec.job_id} was tried before job {former.spec.job_id} was cancelled, so nothing "
        f"is left to apply{again}."
    )


def _require_few(plan: Job, checked: Checked, most: int | None) -> None:
    if most is not None and checked.total > most:
        raise InvalidInput(
            f"plan {plan.spec.job_id} would change {count_of(checked.total, 'completion')}, more than --max-changes "
            f"{most:,}, so nothing was applied; look at `relabel status {plan.spec.job_id}`."
        )
