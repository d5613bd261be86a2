"""Which actions a job's state allows: what a refusal names, and which buttons a page has."""

from __future__ import annotations

from ledger.job import Job, JobState
from ledger.job_spec import Kind


def possible_actions(job: Job) -> list[str]:
    """Return what can be done with a job as it stands; whether anything comes of it, its rows decide."""
    if job.state is JobState.RUNNING or job.is_read_by_workers:
        return ["pause", "cancel"]
    if job.state in {JobState.PAUSED, JobState.HELD}:
        approve = ["approve"] if job.lacks_approval else []
        resume = [] if job.waits_for_approval else ["resume"]
        return [*resume, *approve, "cancel", *_made_of(job)]
    return _made_of(job) if job.state in {JobState.FINISHED, JobState.CANCELLED} else []


def _made_of(job: Job) -> list[str]:
    """Return which jobs can be made of its rows: of a job that is held, none, as nothing was sent."""
    counts, state = job.counts, job.state
    if job.spec.kind is Kind.PLAN:
        return ["apply"] if state is JobState.FINISHED and counts.would_change else []
    if job.spec.kind.only_reads or state is JobState.HELD:
        return []
    may_be_written = counts.updated + job.may_have_been_written + counts.failed
    retry = ["retry"] if counts.failed else []
    undo = ["undo"] if job.spec.journal and may_be_written else []
    return [*retry, *undo, "verify"]
