"""A worker that was stopped and goes on beside others sends nothing late: what a newer job wrote stays."""

from __future__ import annotations

import signal

import pytest

from ledger.job_spec import Mode
from tests.harness.cluster import Cluster, StopWatch
from tests.harness.oracle import check_exact
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until

PROMISE = pytest.mark.promise

FAST = {
    "rate": {"per_minute": 60_000},
    "worker": {"children": 2, "in_flight": 64},
    "api": {"timeout_s": 4.0},
}
"""Many requests at hand when the worker is stopped, and a claim that is soon over."""


class NewerRows(PatchRows):
    """The same completions, each to get other values."""

    def __init__(self, number: int, *, mode: Mode) -> None:
        super().__init__(number, mode=mode)
        self.before = {each: self.after(each) for each in self.patches}
        self.patches = {each: patch | {"team": "newer"} for each, patch in self.patches.items()}


@PROMISE
@pytest.mark.parametrize(("mode", "journal"), [(Mode.MERGE, True), (Mode.REPLACE, False)])
async def test_a_worker_that_was_stopped_overwrites_nothing(cluster: Cluster, *, mode: Mode, journal: bool) -> None:
    """Stopped in mid-job; another worker ends that job and a newer one of the same ids; then it goes on."""
    rows, newer = PatchRows(600, mode=mode), NewerRows(600, mode=mode)
    sleeper = await cluster.worker(**FAST)
    older = await cluster.start_job(rows, shard_rows=300, journal=journal)
    await cluster.settled(older, 60)
    # every request waits for its answer, so that none is just between the fence and the kernel when all stop
    cluster.sandbox.add_faults([{"fault": "slow", "seconds": 3.0}])
    watch = StopWatch(cluster)
    await wait_until(lambda: watch.quiet_for(1), within=30, what="all requests wait for their answers")
    sleeper.send_all(signal.SIGSTOP)
    cluster.sandbox.faults.clear()
    await cluster.worker(**FAST)
    await cluster.finished(older, within=60)
    job_id = await cluster.start_job(newer, load=False, journal=journal)
    await cluster.finished(job_id)

    asked = cluster.asked
    sleeper.send_all(signal.SIGCONT)
    await wait_until(
        lambda: "another worker has the shard" in sleeper.said(), within=30, what="the stopped worker gave up"
    )

    late = [entry for entry in cluster.requests_since(asked) if entry.method == "POST"]
    assert late == []
    held = cluster.sandbox.store.dump()
    assert held == {each: newer.after(each) for each in newer.ids}
    if journal:
        await check_exact(cluster.ledger, cluster.sandbox, newer, job_id, overlaps=True)


@PROMISE
async def test_a_slow_write_of_a_dead_worker_is_not_overtaken_by_another_job(cluster: Cluster) -> None:
    """The service applies it 11 s after it was sent, its job cancelled: the other job's rows wait, and lose no key."""
    rows, newer = PatchRows(40), NewerRows(40, mode=Mode.MERGE)
    cluster.sandbox.add_faults([{"fault": "slow", "match": {"method": "POST"}, "seconds": 11.0, "times": 8}])
    workers = await cluster.two_workers(api={"timeout_s": 13.0})
    older = await cluster.start_job(rows)
    await wait_until(lambda: slow_writes(cluster) == 8, within=30, what="eight slow writes are under way")
    for worker in workers:
        await cluster.kill_at_work(worker, older)
    await cluster.ledger.jobs.cancel(older, by="test")

    job_id = await cluster.start_job(newer, load=False)

    await cluster.finished(job_id)
    await wait_until(lambda: cluster.sandbox.log.stats.in_flight == 0, within=30, what="no write is under way")
    assert cluster.sandbox.store.dump() == {each: newer.after(each) for each in newer.ids}


def slow_writes(cluster: Cluster) -> int:
    """Return how many writes the service has begun to hold back."""
    return sum(entry.fault == "slow" for entry in cluster.sandbox.log.entries)
