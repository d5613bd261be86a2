"""Makes the receipt of a job: what was asked for, what became of it, and digests that anybody can recompute.

It holds no id and no value of a completion, so that it may be shown to others (docs/receipt.md).
"""

from __future__ import annotations

import contextlib
from typing import Any

from ledger.clock import utc_time
from ledger.errors import NoSuchJob, StateLost
from ledger.job import Job, JobState, remedy_of, rows_lost
from ledger.job_spec import JobSpec, Kind
from ledger.person import name_of
from relabel import __version__
from relabel.errors import InvalidInput, RowsLost, WrongState
from relabel.session import Session
from relabel.verification import latest_verification, verification_facts
from report.digest import read_digests

SCHEMA = 1
"""The number of the receipt's form; it rises when a field changes its meaning or is removed."""


async def make_receipt(session: Session, job_id: str) -> dict[str, Any]:
    """Return the receipt of a job that has ended, as JSON takes it.

    Raises:
        NoSuchJob: there is no such job.
        WrongState: it has not ended.
        InvalidInput: it verifies another job, whose receipt has the result.
        RowsLost: rows of the job are gone from Redis.

    """
    ledger = session.ledger
    job = await ledger.jobs.get(job_id)
    _require_ended(job)
    try:
        digests = await read_digests(ledger, job.spec)
    except StateLost as error:
        raise _lost(job.spec) from error
    verification = await latest_verification(ledger, job_id)
    return {
        "schema": SCHEMA,
        "relabel": __version__,
        "made_at": utc_time(await ledger.jobs.now()),
        "job": _job_facts(job),
        "rows": {name: getattr(job.counts, name) for name in job.counts.__struct_fields__},
        "digests": {"shard_rows": job.spec.shard_rows, "input": digests.input, "outcomes": digests.outcomes},
        "plan": await _plan_facts(session, job),
        "verification": verification_facts(verification) if verification else None,
    }


def _require_ended(job: Job) -> None:
    job_id, spec = job.spec.job_id, job.spec
    if job.state is JobState.LOST:
        raise _lost(spec)
    if spec.kind is Kind.VERIFY:
        raise InvalidInput(
            f"job {job_id} verifies job {spec.parent}, whose receipt has the result: `relabel receipt {spec.parent}`."
        )
    if not job.state.ended:
        next_step = f"`relabel watch {job_id}` follows it to its end"
        if job.state in {JobState.PAUSED, JobState.HELD}:
            next_step = f"`relabel resume {job_id}` goes on with it, `relabel cancel {job_id}` ends it"
        raise WrongState(f"job {job_id} is {job.state}, and a receipt is of a job that has ended; {next_step}.")
    if job.counts.pending:
        raise WrongState(f"job {job_id} still has rows in flight; try again in a few seconds.")


def _job_facts(job: Job) -> dict[str, Any]:
    spec = job.spec
    return {
        "job_id": spec.job_id,
        "kind": str(spec.kind),
        "parent": spec.parent,
        "name": spec.name,
        "state": str(job.state),
        "mode": str(spec.mode),
        "target": spec.target,
        "journal": spec.journal,
        "approval": _approval_facts(job),
        "submitted_by": name_of(spec.by) or None,
        "submitted_at": utc_time(job.submitted_at),
        "finished_at": None if job.finished_at is None else utc_time(job.finished_at),
    }


def _approval_facts(job: Job) -> dict[str, Any] | None:
    """Return who approved what, and when; None of a job that nobody approved."""
    approval = job.approval
    if approval is None or approval.approved_by is None or approval.approved_at is None:
        return None
    approved_at = utc_time(approval.approved_at)
    return {"digest": approval.digest, "approved_by": approval.approved_by, "approved_at": approved_at}


async def _plan_facts(session: Session, job: Job) -> dict[str, Any] | None:
    """Return which plan was applied, with its digest where the plan is still kept; None of a job of another kind."""
    spec = job.spec
    if spec.kind is not Kind.APPLY or spec.parent is None:
        return None
    digest = None
    with contextlib.suppress(NoSuchJob):
        digest = (await session.ledger.jobs.get(spec.parent)).digest
    return {"job_id": spec.parent, "digest": digest}


def _lost(spec: JobSpec) -> RowsLost:
    return RowsLost(f"{rows_lost(spec.job_id, 'there is no receipt', remedy_of(spec))}.")
