"""Prepares the job that reads every row of another one again and compares it with what that job left."""

from __future__ import annotations

from ledger.job import JobState
from ledger.job_spec import Kind
from producer.verify import verify_rows
from relabel.derived import DerivedOptions, Prepared, derived_request, settled_job, stage_rows
from relabel.errors import InvalidInput, WrongState
from relabel.session import Session


async def prepare_verify(session: Session, job_id: str, options: DerivedOptions) -> Prepared:
    """Return the rows of a job as it left them, to be read again. The caller closes them.

    A verification is never deduplicated: each one reads anew.

    Raises:
        NoSuchJob: there is no such job.
        WrongState: its rows may still change, or are lost.
        InvalidInput: it only reads, or has no rows.

    """
    await _require_verifiable(session, job_id)
    job = await settled_job(session, job_id, here=options.here)
    spec = job.spec
    checked = await stage_rows(verify_rows(session.ledger, spec), spec)
    note = f"Job {job_id} is paused and may be resumed; its open rows count as not applied."
    request = derived_request(session, job, options, kind=Kind.VERIFY, mode=spec.mode, journal=True, remark="")
    # a row's number has to be that in the verified job; and nobody looks for a change in what only reads
    request = request._replace(shard_rows=spec.shard_rows, again=True, indexed=False)
    return Prepared(checked, request, note if job.state is JobState.PAUSED else "")


async def _require_verifiable(session: Session, job_id: str) -> None:
    job = await session.ledger.jobs.get(job_id)
    spec = job.spec
    if spec.kind.only_reads:
        instead = f"; `relabel verify {spec.parent}` reads the job again" if spec.kind is Kind.VERIFY else ""
        raise InvalidInput(
            f"job {job_id} only reads and leaves nothing behind, so there is nothing to verify{instead}."
        )
    if job.state is JobState.RUNNING:
        raise WrongState(f"job {job_id} is running; `relabel watch {job_id}` follows it to its end, then verify it.")
    if job.state is JobState.HELD:
        raise WrongState(f"job {job_id} is held and has changed nothing; `relabel resume {job_id}` starts it.")
    if not spec.rows and job.state.ended and job.state is not JobState.LOST:
        raise InvalidInput(f"job {job_id} has no rows that were sent, so there is nothing to verify.")
