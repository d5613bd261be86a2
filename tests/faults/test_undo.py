"""A job whose workers were killed time and again is taken back exactly."""

from __future__ import annotations

import pytest

from ledger.job import Job, JobState
from ledger.job_spec import Kind, Mode
from producer.check import check_made
from producer.submit import JobRequest, submit
from producer.undo import undo_columns, undo_rows
from tasks.announce import announce
from tests.harness.cluster import Cluster
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until
from tests.harness.worker_process import WorkerProcess


async def kill_children_as_rows_settle(cluster: Cluster, worker: WorkerProcess, job_id: str, at: list[int]) -> None:
    """SIGKILL the children that are at the job each time that so many rows are settled."""
    for rows in at:
        await cluster.settled(job_id, rows)
        await wait_until(lambda: cluster.kill_at_work(worker, job_id), within=60, what="a child at work is killed")


async def submit_undo(cluster: Cluster, job: Job) -> str:
    """Submit the undo of a job as the command line does."""
    spec = job.spec
    order = JobRequest("undo", Mode.MERGE, True, spec.target, 50, 3600.0, kind=Kind.UNDO, parent=spec.job_id)
    rows = undo_rows(cluster.ledger, spec)
    folder = cluster.redis.socket.parent
    with await check_made(rows, columns=undo_columns(spec.columns), mode=Mode.MERGE, spool_dir=folder) as checked:
        given = await submit(checked, order, ledger=cluster.ledger, announce=lambda *of: announce(cluster.app, *of))
    return given.job_id


@pytest.mark.promise
@pytest.mark.parametrize("mode", [Mode.MERGE, Mode.REPLACE])
async def test_after_kills_in_the_job_and_in_its_undo_the_server_is_as_before(cluster: Cluster, mode: Mode) -> None:
    """SIGKILL of the children three times in the job, which is then cancelled half way, and three in the undo."""
    rows = PatchRows(400, mode=mode)
    # what a killed child had in flight may be applied until its time is over: the undo waits for that
    worker = await cluster.worker(rate={"per_minute": 6000}, api={"timeout_s": 5.0})
    job_id = await cluster.start_job(rows)
    await kill_children_as_rows_settle(cluster, worker, job_id, [40, 80, 120])
    await cluster.settled(job_id, 160)
    await cluster.ledger.jobs.cancel(job_id, by="test")
    await wait_until(lambda: ended(cluster, job_id), within=60, what="the job's shards are closed")
    assert cluster.sandbox.store.dump() != rows.before

    undo_id = await submit_undo(cluster, await cluster.ledger.jobs.get(job_id))
    await kill_children_as_rows_settle(cluster, worker, undo_id, [20, 50, 80])

    job = await cluster.finished(undo_id)
    assert cluster.sandbox.store.dump() == rows.before
    assert (job.counts.failed, job.counts.drifted) == (0, 0)
    assert cluster.sandbox.log.stats.overlaps == 0


async def ended(cluster: Cluster, job_id: str) -> bool:
    """Whether every row of a cancelled job has its outcome, and no worker is at it."""
    job = await cluster.ledger.jobs.get(job_id)
    return job.state is JobState.CANCELLED and job.counts.pending == 0 and not await cluster.owners(job_id)
