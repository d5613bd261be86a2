"""Which actions a job's state allows: what a refusal names, and which buttons a page has."""

from __future__ import annotations

from ledger.job import Job, JobState


def possible_actions(job: Job) -> list[str]:
    """Return what can be done with a job as it stands; whether anything comes of it, its rows decide."""
    if job.state is JobState.RUNNING:
        return ["pause", "cancel"]
    made = ["retry", *(["undo"] if job.spec.journal else [])]
    if job.state in {JobState.PAUSED, JobState.HELD}:
        return ["resume", "cancel", *made]
    return made if job.state in {JobState.FINISHED, JobState.CANCELLED} else []
