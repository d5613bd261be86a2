"""What a worker does when a job has ended."""

from __future__ import annotations

import contextlib

from ledger.errors import StateLost
from ledger.job import Job, JobState, Kind
from ledger.ledger import Ledger
from report.plan_totals import complete_digest


async def retire(ledger: Ledger, job: Job) -> None:
    """Let an ended job expire after the days it is to be kept; a plan that has finished gets its digest first."""
    if job.spec.kind is Kind.PLAN and job.state is JobState.FINISHED and job.digest is None:
        with contextlib.suppress(StateLost):  # it is shown as lost, and expires all the same
            await complete_digest(ledger, job.spec)
    await ledger.jobs.retire(job.spec.job_id)
