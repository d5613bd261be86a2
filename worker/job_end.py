"""What a worker does once a shard is released, and when its job has ended."""

from __future__ import annotations

import contextlib

from ledger.errors import StateLost
from ledger.job import Job, JobState
from ledger.job_spec import Kind
from ledger.ledger import Ledger
from ledger.shards import LeasedShard, ReleaseAnswer
from report.plan_totals import complete_digest, count_shard
from worker.job_log import log_job


async def end_turn(ledger: Ledger, shard: LeasedShard, answer: ReleaseAnswer) -> None:
    """Count a plan's closed shard, and retire a job that has finished; safe to repeat.

    Raises:
        StateLost: the job is gone, or rows of it.

    """
    spec = shard.spec
    if spec.kind is Kind.PLAN and answer in {ReleaseAnswer.CLOSED, ReleaseAnswer.FINISHED}:
        await count_shard(ledger, spec, shard.number)
    if answer is ReleaseAnswer.FINISHED:
        job = await ledger.jobs.get(spec.job_id)
        await log_job(ledger, job)
        await retire(ledger, job)


async def retire(ledger: Ledger, job: Job) -> None:
    """Let an ended job expire after the days it is to be kept; a plan that has finished gets its digest first."""
    if job.spec.kind is Kind.PLAN and job.state is JobState.FINISHED and job.digest is None:
        with contextlib.suppress(StateLost):  # it is shown as lost, and expires all the same
            await complete_digest(ledger, job.spec)
    await ledger.jobs.retire(job.spec.job_id)
