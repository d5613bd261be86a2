"""Which actions a job's state allows: what a refusal names, and which buttons a page has."""

from __future__ import annotations

from ledger.job import Job, JobState
from ledger.job_spec import Kind


def possible_actions(job: Job) -> list[str]:
    """Return what can be done with a job as it stands; whether anything comes of it, its rows decide."""
    if job.state is JobState.RUNNING:
        return ["pause", "cancel"]
    if job.state in {JobState.PAUSED, JobState.HELD}:
        return ["resume", "cancel", *_made_of(job)]
    return _made_of(job) if job.state in {JobState.FINISHED, JobState.CANCELLED} else []


def _made_of(job: Job) -> list[str]:
    """Return which jobs can be made of its rows."""
    if job.spec.kind is Kind.PLAN:
        return ["apply"] if job.state is JobState.FINISHED else []
    if job.spec.kind.only_reads:
        return []
    verify = [] if job.state is JobState.HELD else ["verify"]
    return ["retry", *(["undo"] if job.spec.journal else []), *verify]
