"""Workers that die in the middle of an apply: in its canary, and after it."""

from __future__ import annotations

import functools

from config.canary import CanaryShare
from ledger.job import Canary, Job
from ledger.job_spec import Kind
from ledger.row import Outcome
from ledger.row_reader import read_rows
from producer.submit import submit
from relabel.apply import ApplyOptions, PreparedApply, prepare_apply
from relabel.session import Session
from tasks.announce import announce
from tests.harness.cluster import Cluster, settings_for
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until

ROWS, CHANGED, CANARY = 300, 270, 60
"""Each tenth row is as it should be already."""
SLOWLY = {"per_minute": 6000}


async def apply_of(cluster: Cluster, plan: Job, options: ApplyOptions) -> str:
    """Apply a plan as the command does, and return the job's id."""
    session = Session(cluster.ledger, settings_for(cluster.redis.url, cluster.sandbox.base_url), "test")
    prepared = await prepare_apply(session, plan, options)
    assert isinstance(prepared, PreparedApply)
    with prepared.checked as checked:
        send = functools.partial(announce, cluster.app)
        return (await submit(checked, prepared.request, ledger=cluster.ledger, announce=send)).job_id


async def test_workers_killed_in_the_canary_and_after_it_leave_every_row_exact(cluster: Cluster) -> None:
    """SIGKILL of children twice: what changed since the plan is left alone, all else is written and counted once."""
    rows = PatchRows(ROWS)
    worker = await cluster.worker(rate=SLOWLY)
    plan = await cluster.finished(await cluster.start_job(rows, kind=Kind.PLAN, again=True))
    assert plan.counts.would_change == CHANGED
    changing = [each for each in rows.ids if rows.needs_change(each)]
    drifted = {each: cluster.sandbox.store.metadata(each) | {"team": "theirs"} for each in changing[7::90]}
    cluster.sandbox.store.load(drifted)
    job_id = await apply_of(cluster, plan, ApplyOptions(canary=CanaryShare.parse(str(CANARY))))

    await cluster.settled(job_id, 10)
    assert (await cluster.ledger.jobs.get(job_id)).canary is Canary.RUNNING
    assert await cluster.kill_at_work(worker, job_id)

    async def passed() -> bool:
        job = await cluster.ledger.jobs.get(job_id)
        assert job.canary is Canary.PASSED or job.counts.settled <= CANARY, "no other row ends before the canary"
        return job.canary is Canary.PASSED and job.counts.settled > CANARY + 20

    await wait_until(passed, within=60, what="the canary has passed")
    assert await cluster.kill_at_work(worker, job_id)

    job = await cluster.finished(job_id)
    assert (job.counts.total, job.counts.drifted) == (CHANGED, len(drifted))
    assert job.counts.updated + job.counts.unchanged == CHANGED - len(drifted)
    ended = {row.patch.completion_id: row.outcome async for row in read_rows(cluster.ledger.redis, job.spec)}
    assert list(ended) == changing
    for each in rows.ids:
        assert cluster.sandbox.store.metadata(each) == (drifted.get(each) or rows.after(each))
        assert (ended.get(each) is Outcome.DRIFTED) == (each in drifted)
