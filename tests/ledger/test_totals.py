"""What jobs counted outlives them, and is counted once."""

from __future__ import annotations

import asyncio

import pytest

from ledger.job import JobState, Traffic
from ledger.keys import JobKeys
from ledger.overview import read_overview
from ledger.row import Outcome
from ledger.settlements import Settlement


async def shown(harness, word):
    """What a counter shows: the totals and the active jobs."""
    overview = await read_overview(harness.redis)
    jobs = [seen.job for seen in overview.jobs]
    counted = sum(getattr(job.counts, word, 0) + getattr(job.traffic, word, 0) for job in jobs)
    return overview.totals.get(word, 0) + counted


async def finish(harness, spec):
    """Carry a job of one shard out."""
    shard = await harness.lease(spec, 0)
    ends = [Settlement(row, Outcome.UPDATED) for row in range(spec.rows)]
    await harness.ledger.settlements.settle(shard, ends, Traffic(requests=7, retries=1, throttled=2))
    await harness.shards.release(shard)


async def test_what_a_job_counted_stays_when_it_leaves_and_when_it_is_gone(harness):
    """Rows, requests and the job itself."""
    spec = await harness.submit(rows=2, rejected=3)
    await finish(harness, spec)
    words = {"updated": 2, "rejected": 3, "total": 5, "requests": 7, "retries": 1, "throttled": 2}
    assert {word: await shown(harness, word) for word in words} == words

    await harness.ledger.jobs.retire(spec.job_id)
    assert {word: await shown(harness, word) for word in words} == words

    keys = JobKeys(spec.job_id)
    await harness.redis.delete(*keys.lasting, *keys.passing)
    assert await harness.ledger.jobs.latest(10) == []
    assert {word: await shown(harness, word) for word in words} == words
    assert (await read_overview(harness.redis)).ended == {
        JobState.FINISHED: 1,
        JobState.CANCELLED: 0,
        JobState.LOST: 0,
    }


async def test_a_job_is_counted_once_however_often_it_leaves(harness):
    """Two workers may retire it, and a producer may open it a second time."""
    spec = await harness.submit(rows=2)
    await finish(harness, spec)

    await asyncio.gather(*(harness.ledger.jobs.retire(spec.job_id) for _ in range(5)))
    await harness.ledger.job_store.open(spec.job_id)
    assert await shown(harness, "updated") == 2
    await harness.ledger.jobs.retire(spec.job_id)
    await harness.ledger.jobs.forget(spec.job_id)

    assert await shown(harness, "updated") == 2


async def test_a_counter_never_falls_while_jobs_leave(harness):
    """Whoever looks at that moment sees a job among the active ones or in the totals, not in both or in neither."""
    specs = [await harness.submit(rows=2) for _ in range(30)]
    for spec in specs:
        await finish(harness, spec)
    leaving = asyncio.gather(*(harness.ledger.jobs.retire(spec.job_id) for spec in specs))
    seen = []

    while not leaving.done() or not seen:
        seen.append(await shown(harness, "updated"))
    await leaving

    assert set(seen) == {60}
    assert (await read_overview(harness.redis)).jobs == []


async def test_a_job_without_a_row_to_send_counts_its_rejected_rows(harness):
    """It is never seen among the active ones."""
    spec = harness.spec(rows=0, shards=0, rejected=4)
    await harness.ledger.job_store.create(spec)
    await harness.ledger.job_store.open(spec.job_id)

    assert (await shown(harness, "rejected"), await harness.ledger.jobs.active()) == (4, [])


async def test_a_job_that_was_left_half_stored_counts_nowhere(harness):
    """Not even where its producer died between two steps of opening it."""
    spec = harness.spec(rows=2, rejected=4)
    await harness.store(spec)
    await harness.redis.sadd("relabel:active", spec.job_id)
    assert await shown(harness, "rejected") == 0

    await harness.ledger.jobs.discard(spec.job_id)

    assert (await shown(harness, "rejected"), await shown(harness, "total")) == (0, 0)


@pytest.mark.parametrize(("left", "ended"), [("counts", 2), ("", 0)])
async def test_a_job_whose_keys_are_gone_is_counted_as_lost(harness, left, ended):
    """With what is left of its counts."""
    spec = await harness.submit(rows=2)
    shard = await harness.lease(spec, 0)
    await harness.ledger.settlements.settle(
        shard, [Settlement(0, Outcome.FAILED), Settlement(1, Outcome.FAILED)], Traffic()
    )
    keys = JobKeys(spec.job_id)
    await harness.redis.delete(*{keys.job, keys.outcomes, keys.counts} - ({keys.counts} if left else set()))

    await harness.ledger.jobs.forget(spec.job_id)

    overview = await read_overview(harness.redis)
    assert (overview.totals.get("failed", 0), overview.ended[JobState.LOST]) == (ended, 1)
