"""A worker that was stopped and goes on beside others sends nothing late: what a newer job wrote stays."""

from __future__ import annotations

import signal

import pytest

from ledger.job import Mode
from tests.harness.oracle import check_exact
from tests.harness.rows import PatchRows
from tests.harness.stand import Cluster, StopWatch
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


@pytest.mark.parametrize(("mode", "journal"), [(Mode.MERGE, True), pytest.param(Mode.REPLACE, False, marks=PROMISE)])
async def test_a_worker_that_was_stopped_overwrites_nothing(stand: Cluster, *, mode: Mode, journal: bool) -> None:
    """Stopped in mid-job; another worker ends that job and a newer one of the same ids; then it goes on."""
    rows, newer = PatchRows(600, mode=mode), NewerRows(600, mode=mode)
    sleeper = await stand.worker(**FAST)
    older = await stand.start_job(rows, shard_rows=300, journal=journal)
    await stand.settled(older, 60)
    # every request waits for its answer, so that none is just between the fence and the kernel when all stop
    stand.sandbox.add_faults([{"fault": "slow", "seconds": 3.0}])
    watch = StopWatch(stand)
    await wait_until(lambda: watch.quiet_for(1), within=30, what="all requests wait for their answers")
    sleeper.send_all(signal.SIGSTOP)
    stand.sandbox.faults.clear()
    await stand.worker(**FAST)
    await stand.finished(older, within=60)
    job_id = await stand.start_job(newer, load=False, journal=journal)
    await stand.finished(job_id)

    asked = stand.asked
    sleeper.send_all(signal.SIGCONT)
    await wait_until(
        lambda: "another worker has the shard" in sleeper.said(), within=30, what="the stopped worker gave up"
    )

    late = [entry for entry in stand.requests_since(asked) if entry.method == "POST"]
    assert late == []
    held = stand.sandbox.store.dump()
    assert held == {each: newer.after(each) for each in newer.ids}
    if journal:
        await check_exact(stand.ledger, stand.sandbox, newer, job_id, overlaps=True)


@PROMISE
async def test_a_slow_write_of_a_dead_worker_is_not_overtaken_by_another_job(stand: Cluster) -> None:
    """The service applies it 11 s after it was sent, its job cancelled: the other job's rows wait, and lose no key."""
    rows, newer = PatchRows(40), NewerRows(40, mode=Mode.MERGE)
    stand.sandbox.add_faults([{"fault": "slow", "match": {"method": "POST"}, "seconds": 11.0, "times": 8}])
    workers = await stand.two_workers(api={"timeout_s": 13.0})
    older = await stand.start_job(rows)
    await wait_until(lambda: slow_writes(stand) == 8, within=30, what="eight slow writes are under way")
    for worker in workers:
        await stand.kill_at_work(worker, older)
    await stand.ledger.jobs.cancel(older, by="test")

    job_id = await stand.start_job(newer, load=False)

    await stand.finished(job_id)
    await wait_until(lambda: stand.sandbox.log.stats.in_flight == 0, within=30, what="no write is under way")
    assert stand.sandbox.store.dump() == {each: newer.after(each) for each in newer.ids}


def slow_writes(stand: Cluster) -> int:
    """Return how many writes the service has begun to hold back."""
    return sum(entry.fault == "slow" for entry in stand.sandbox.log.entries)
