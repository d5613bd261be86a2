"""A job of which too many rows fail pauses and says why, whichever worker finds out."""

from __future__ import annotations

from ledger.job import JobState
from tests.harness.cluster import Cluster
from tests.harness.rows import PatchRows

MISSING = 60


async def test_too_many_failures_pause_the_job_over_all_workers_and_a_resume_goes_on(cluster: Cluster) -> None:
    """Two workers, 60 of 400 completions missing: paused with the causes, and goes on to its end when resumed."""
    rows = PatchRows(400)
    cluster.sandbox.store.load(dict(list(rows.before.items())[MISSING:]))
    await cluster.two_workers(rate={"per_minute": 6000})

    job_id = await cluster.start_job(rows, load=False, max_failures="10%", shard_rows=25)

    job = await cluster.in_state(job_id, JobState.PAUSED)
    assert job.reason_code == "too_many_failures"
    assert job.reason is not None
    assert "rows failed, more than 10% (--max-failures): not_found " in job.reason
    assert job.counts.settled >= 100
    await cluster.put_down(job_id)
    paused = await cluster.ledger.jobs.get(job_id)
    assert paused.counts.pending > 0

    await cluster.ledger.jobs.resume(job_id, by="test")

    job = await cluster.finished(job_id)
    assert (job.counts.failed, job.counts.pending) == (MISSING, 0)
