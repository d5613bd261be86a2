"""Two jobs over the same completions, with several workers and a kill."""

from __future__ import annotations

import pytest

from ledger.row import Patch
from tests.harness.cluster import Cluster
from tests.harness.oracle import check_exact
from tests.harness.rows import PatchRows


class OtherKeys(PatchRows):
    """The same completions, each to get another key."""

    def __iter__(self):
        for line, completion_id in enumerate(self.patches, start=1):
            yield Patch(line, completion_id, {"other": f"other {line}"})


@pytest.mark.promise
async def test_two_jobs_of_the_same_ids_lose_no_key_though_a_worker_is_killed(cluster: Cluster) -> None:
    """Two workers, both jobs at once, SIGKILL of all children of one: no overlap, every key of both is there."""
    rows, others = PatchRows(400), OtherKeys(400)
    # what a killed child had in flight may be applied until its time is over: the other job waits for that
    workers = await cluster.two_workers(rate={"per_minute": 9000}, api={"timeout_s": 5.0})
    first = await cluster.start_job(rows)
    second = await cluster.start_job(others, load=False)
    await cluster.settled(first, 60)
    await cluster.settled(second, 60)
    for job_id in (first, second):
        await cluster.kill_at_work(workers[0], job_id)

    await cluster.finished(first)
    await cluster.finished(second)

    held = cluster.sandbox.store.dump()
    wanted = {each: rows.after(each) | {"other": f"other {n}"} for n, each in enumerate(rows.ids, 1)}
    assert held == wanted
    assert cluster.sandbox.log.stats.overlaps == 0


@pytest.mark.promise
async def test_a_small_job_need_not_wait_for_a_large_one(cluster: Cluster) -> None:
    """With one child only: 100 rows that come while 20,000 are under way begin within 30 s, and soon end."""
    large, small = PatchRows(20_000), PatchRows(100, seed=1)
    await cluster.worker(rate={"per_minute": 6000}, worker={"children": 1})
    first = await cluster.start_job(large, shard_rows=500)
    await cluster.settled(first, 50)

    second = await cluster.start_job(small)

    await cluster.settled(second, 1, within=30)
    before = (await cluster.job(first)).counts.settled
    await cluster.finished(second)
    await cluster.settled(first, before + 1)
    await cluster.ledger.jobs.pause(first, by="test", code="user", reason="the test has seen enough")
    await cluster.put_down(first)
    await check_exact(cluster.ledger, cluster.sandbox, small, second)
