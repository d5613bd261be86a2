"""A job whose workers were killed time and again is taken back exactly."""

from __future__ import annotations

import pytest

from ledger.job import Job, JobState, Kind, Mode
from producer.check import check_made
from producer.submit import JobRequest, submit
from producer.undo import undo_columns, undo_rows
from tasks.announce import announce
from tests.harness.rows import PatchRows
from tests.harness.stand import Cluster
from tests.harness.wait import wait_until
from tests.harness.worker_process import WorkerProcess


async def kill_children_as_rows_settle(stand: Cluster, worker: WorkerProcess, job_id: str, at: list[int]) -> None:
    """SIGKILL the children that are at the job each time that so many rows are settled."""
    for rows in at:
        await stand.settled(job_id, rows)
        await wait_until(lambda: stand.kill_at_work(worker, job_id), within=60, what="a child at work is killed")


async def submit_undo(stand: Cluster, job: Job) -> str:
    """Submit the undo of a job as the command line does."""
    spec = job.spec
    order = JobRequest("undo", Mode.MERGE, True, spec.target, 50, 3600.0, kind=Kind.UNDO, parent=spec.job_id)
    rows = undo_rows(stand.ledger, spec)
    folder = stand.redis.socket.parent
    with await check_made(rows, columns=undo_columns(spec.columns), mode=Mode.MERGE, spool_dir=folder) as checked:
        given = await submit(checked, order, ledger=stand.ledger, announce=lambda *of: announce(stand.app, *of))
    return given.job_id


@pytest.mark.parametrize("mode", [Mode.MERGE, pytest.param(Mode.REPLACE, marks=pytest.mark.promise)])
async def test_after_kills_in_the_job_and_in_its_undo_the_server_is_as_before(stand: Cluster, mode: Mode) -> None:
    """SIGKILL of the children three times in the job, which is then cancelled half way, and three in the undo."""
    rows = PatchRows(400, mode=mode)
    # what a killed child had in flight may be applied until its time is over: the undo waits for that
    worker = await stand.worker(rate={"per_minute": 6000}, api={"timeout_s": 5.0})
    job_id = await stand.start_job(rows)
    await kill_children_as_rows_settle(stand, worker, job_id, [40, 80, 120])
    await stand.settled(job_id, 160)
    await stand.ledger.jobs.cancel(job_id, by="test")
    await wait_until(lambda: ended(stand, job_id), within=60, what="the job's shards are closed")
    assert stand.sandbox.store.dump() != rows.before

    undo_id = await submit_undo(stand, await stand.ledger.jobs.get(job_id))
    await kill_children_as_rows_settle(stand, worker, undo_id, [20, 50, 80])

    job = await stand.finished(undo_id)
    assert stand.sandbox.store.dump() == rows.before
    assert (job.counts.failed, job.counts.drifted) == (0, 0)
    assert stand.sandbox.log.stats.overlaps == 0


async def ended(stand: Cluster, job_id: str) -> bool:
    """Whether every row of a cancelled job has its outcome, and no worker is at it."""
    job = await stand.ledger.jobs.get(job_id)
    return job.state is JobState.CANCELLED and job.counts.pending == 0 and not await stand.owners(job_id)
