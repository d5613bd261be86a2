"""What can be done with a job on its page: the scope that it needs, and what will happen to how many rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from config.web import Scope
from ledger.job import Job
from ledger.job_spec import JobSpec, Kind
from relabel.apply import ApplyOptions, applicable_plan, apply
from relabel.approve import approve, is_submitter
from relabel.control import cancel, pause, resume
from relabel.derived import DerivedOptions, Prepared, prepare_retry, prepare_undo
from relabel.session import Session
from relabel.submit import submit
from relabel.verify import prepare_verify
from relabel.wording import count_of
from web.callers import Caller

_LEFT_ALONE = "Rows that somebody changed since are left alone; they end as drifted."
COUNTED_ROWS = 100_000
"""Rows of a job up to which those that a new job would have are counted for its confirmation."""


class Shown(NamedTuple):
    """What a confirmation says: what will happen, and the rows that a new job has, None where they are not counted."""

    sentences: list[str]
    rows: int | None = None


class Asked(NamedTuple):
    """What somebody chose beside the action: a reason; of a retry, the codes of the rows, or all that failed."""

    reason: str = ""
    codes: frozenset[str] = frozenset()
    everything: bool = False


class Changed(Exception):
    """What would happen is not what the page said that somebody confirmed."""


class Action(NamedTuple):
    """Something that can be done. `show` says what will happen; `carry_out` does it, and returns the job to look at.

    `counts_rows`: the rows are read for it, so that it is run as work that takes long. `takes_codes`: it may be for the
    rows of some codes only, or for all.
    """

    word: str
    scope: Scope
    show: Callable[[Session, Job, Asked], Awaitable[Shown]]
    carry_out: Callable[[Session, Job, Shown, Asked], Awaitable[str]]
    takes_reason: bool = False
    counts_rows: bool = False
    takes_codes: bool = False


async def _show_pause(_session: Session, job: Job, _asked: Asked) -> Shown:
    rest = count_of(job.counts.pending, "row")
    return Shown([f"No further row starts after 2 seconds; those in flight end. {rest} wait until the job is resumed."])


async def _pause(session: Session, job: Job, _shown: Shown, asked: Asked) -> str:
    await pause(session, job.spec.job_id, reason=asked.reason)
    return job.spec.job_id


async def _show_resume(_session: Session, job: Job, _asked: Asked) -> Shown:
    does = "read" if job.spec.kind.only_reads else "carried out"
    said = [f"{count_of(job.counts.pending, 'row')} will be {does}, each once."]
    if job.reason:
        said.append(f"The job is {job.state} for this reason, which should be mended first: {job.reason}.")
    return Shown(said)


async def _resume(session: Session, job: Job, _shown: Shown, _asked: Asked) -> str:
    await resume(session, job.spec.job_id)
    return job.spec.job_id


async def _show_cancel(_session: Session, job: Job, _asked: Asked) -> Shown:
    pending, ended = count_of(job.counts.pending, "row"), count_of(job.counts.carried_out, "row")
    kept = f"; nothing happens to {ended} that ended before" if job.counts.carried_out else ""
    said = [f"{pending} will end as cancelled{kept}.", "A cancelled job cannot be resumed."]
    if job.lacks_approval:
        said.insert(0, "This refuses the approval; the reason is shown to whoever submitted the job.")
    return Shown(said)


async def _cancel(session: Session, job: Job, _shown: Shown, asked: Asked) -> str:
    await cancel(session, job.spec.job_id, reason=asked.reason)
    return job.spec.job_id


async def _show_approve(_session: Session, job: Job, _asked: Asked) -> Shown:
    approval, spec = job.approval, job.spec
    kind = "" if spec.kind is Kind.FILE else f", as the {spec.kind} of job {spec.parent}"
    said = [
        f"{count_of(spec.rows, 'row')} will be carried out, each once, in mode {spec.mode}{kind}.",
        *_keys_of(spec),
        f"Submitted by {spec.by or 'somebody who was not recorded'}, for {spec.target}.",
        f"Your approval is for the digest `{approval.digest if approval else ''}`, and counts for nothing else.",
    ]
    if not job.waits_for_approval:
        said.append("The job is also held for another reason, and waits until it is resumed.")
    return Shown(said, spec.rows)


def _keys_of(spec: JobSpec) -> list[str]:
    if spec.keys is None:
        return []
    return [f"Keys: {', '.join(spec.keys) or 'none'}{' and others' if spec.more_keys else ''}."]


async def _approve(session: Session, job: Job, _shown: Shown, _asked: Asked) -> str:
    await approve(session, job.spec.job_id, digest=job.approval.digest if job.approval else None)
    return job.spec.job_id


async def _prepare_retry(session: Session, job_id: str, asked: Asked) -> Prepared:
    codes = asked.codes or None
    return await prepare_retry(session, job_id, DerivedOptions(), codes=codes, everything=asked.everything)


async def _prepare_undo(session: Session, job_id: str, _asked: Asked) -> Prepared:
    return await prepare_undo(session, job_id, DerivedOptions())


async def _prepare_verify(session: Session, job_id: str, _asked: Asked) -> Prepared:
    return await prepare_verify(session, job_id, DerivedOptions())


def _derived(
    prepare: Callable[[Session, str, Asked], Awaitable[Prepared]],
    at_most: Callable[[Job], int],
    will: str,
    *besides: str,
) -> tuple[Callable[[Session, Job, Asked], Awaitable[Shown]], Callable[[Session, Job, Shown, Asked], Awaitable[str]]]:
    """Return how an action is shown and carried out that makes a new job of a job's rows."""

    async def show(session: Session, job: Job, asked: Asked) -> Shown:
        which = f" with the code {' or '.join(sorted(asked.codes))}" if asked.codes else ""
        if job.spec.rows > COUNTED_ROWS:
            return Shown([f"A new job {will} up to {count_of(at_most(job), 'row')}{which}.", *besides])
        with (prepared := await prepare(session, job.spec.job_id, asked)).checked as checked:
            said = [f"A new job {will} {count_of(checked.total, 'row')}{which}.", *besides]
            return Shown([*said, prepared.note] if prepared.note else said, checked.total)

    async def carry_out(session: Session, job: Job, shown: Shown, asked: Asked) -> str:
        prepared = await prepare(session, job.spec.job_id, asked)
        with prepared.checked as checked:
            if shown.rows is not None and checked.total != shown.rows:
                raise Changed
            return (await submit(session, checked, prepared.request)).job_id

    return show, carry_out


async def _show_apply(session: Session, job: Job, _asked: Asked) -> Shown:
    plan = await applicable_plan(session, job.spec.job_id, here=False)
    rows = plan.counts.would_change
    return Shown([f"A new job changes {count_of(rows, 'row')} exactly as this plan shows.", _LEFT_ALONE], rows)


async def _apply(session: Session, job: Job, shown: Shown, _asked: Asked) -> str:
    if job.counts.would_change != shown.rows:
        raise Changed
    return (await apply(session, job.spec.job_id, ApplyOptions())).job_id


def refusal_of(action: Action, job: Job, viewer: Caller) -> str:
    """Return why somebody may not do this with the job; '' where they may."""
    if not viewer.permits(action.scope):
        return f"this needs the scope `{action.scope}`, which you have not."
    if action.word == "approve" and is_submitter(job, viewer.acts_as):
        return "you have submitted this job, so that somebody else has to approve it."
    return ""


def refused_actions(job: Job, viewer: Caller) -> set[str]:
    """Return the actions that somebody may not take with the job, whatever its state."""
    return {word for word, action in ACTIONS.items() if refusal_of(action, job, viewer)}


def _may_be_written(job: Job) -> int:
    return job.counts.updated + job.may_have_been_written + job.counts.failed + job.counts.pending


_RETRY = _derived(_prepare_retry, lambda job: job.counts.failed, "tries again")
_UNDO = _derived(_prepare_undo, _may_be_written, "restores what was there before in", _LEFT_ALONE)
_VERIFY = _derived(_prepare_verify, lambda job: job.spec.rows, "reads again")
ACTIONS = {
    action.word: action
    for action in (
        Action("pause", Scope.CONTROL, _show_pause, _pause, takes_reason=True),
        Action("resume", Scope.CONTROL, _show_resume, _resume),
        Action("approve", Scope.APPROVE, _show_approve, _approve),
        Action("cancel", Scope.CONTROL, _show_cancel, _cancel, takes_reason=True),
        Action("retry", Scope.CONTROL, *_RETRY, counts_rows=True, takes_codes=True),
        Action("undo", Scope.CONTROL, *_UNDO, counts_rows=True),
        Action("verify", Scope.SUBMIT, *_VERIFY, counts_rows=True),
        Action("apply", Scope.SUBMIT, _show_apply, _apply, counts_rows=True),
    )
}
"""By their words, as `relabel.possible` has them."""
