"""Two jobs over the same completions, with several workers and a kill."""

from __future__ import annotations

from ledger.row import Patch
from tests.harness.oracle import check_exact
from tests.harness.rows import PatchRows
from tests.harness.stand import Cluster


class OtherKeys(PatchRows):
    """The same completions, each to get another key."""

    def __iter__(self):
        for line, completion_id in enumerate(self.patches, start=1):
            yield Patch(line, completion_id, {"other": f"other {line}"})


async def test_two_jobs_of_the_same_ids_lose_no_key_though_a_worker_is_killed(stand: Cluster) -> None:
    """Two workers, both jobs at once, SIGKILL of all children of one: no overlap, every key of both is there."""
    rows, others = PatchRows(400), OtherKeys(400)
    # what a killed child had in flight may be applied until its time is over: the other job waits for that
    workers = await stand.two_workers(rate={"per_minute": 9000}, api={"timeout_s": 5.0})
    first = await stand.start_job(rows)
    second = await stand.start_job(others, load=False)
    await stand.settled(first, 60)
    await stand.settled(second, 60)
    for job_id in (first, second):
        await stand.kill_at_work(workers[0], job_id)

    await stand.finished(first)
    await stand.finished(second)

    held = stand.sandbox.store.dump()
    wanted = {each: rows.after(each) | {"other": f"other {n}"} for n, each in enumerate(rows.ids, 1)}
    assert held == wanted
    assert stand.sandbox.log.stats.overlaps == 0


async def test_a_small_job_need_not_wait_for_a_large_one(stand: Cluster) -> None:
    """With one child only: 100 rows that come while 20,000 are under way begin within 30 s, and soon end."""
    large, small = PatchRows(20_000), PatchRows(100, seed=1)
    await stand.worker(rate={"per_minute": 6000}, worker={"children": 1})
    first = await stand.start_job(large, shard_rows=500)
    await stand.settled(first, 50)

    second = await stand.start_job(small)

    await stand.settled(second, 1, within=30)
    before = (await stand.job(first)).counts.settled
    await stand.finished(second)
    await stand.settled(first, before + 1)
    await stand.ledger.jobs.pause(first, by="test", code="user", reason="the test has seen enough")
    await stand.put_down(first)
    await check_exact(stand.ledger, stand.sandbox, small, second)
