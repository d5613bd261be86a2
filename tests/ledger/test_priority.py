"""How jobs that run at once share the workers: by the shards that each may have announced."""

from __future__ import annotations

import pytest

from ledger.job_spec import Priority


async def test_jobs_of_one_priority_get_the_same_window(harness):
    """As many as one job alone would get; their messages take turns in the queue."""
    await harness.ledger.workers.beat("w1", 7)
    first, second = await harness.submit(rows=40), await harness.submit(rows=40)

    assert len(await harness.shards.to_announce(first.job_id)) == 8
    assert len(await harness.shards.to_announce(second.job_id)) == 8


@pytest.mark.parametrize(("priority", "window"), [("high", 8), ("normal", 4), ("low", 2)])
async def test_a_job_of_high_priority_makes_room_for_itself(harness, priority, window):
    """Twice what normal gets, four times what low gets."""
    await harness.ledger.workers.beat("w1", 7)
    await harness.submit(rows=40, priority=Priority.HIGH)
    other = await harness.submit(rows=40, priority=Priority(priority))

    assert len(await harness.shards.to_announce(other.job_id)) == window


async def test_a_job_of_low_priority_alone_has_all_workers(harness):
    """Also beside jobs that are paused or have ended: they need nobody."""
    await harness.ledger.workers.beat("w1", 7)
    idle = await harness.submit(rows=40, priority=Priority.HIGH)
    await harness.ledger.jobs.pause(idle.job_id, by="test", code="paused", reason="by a test")
    low = await harness.submit(rows=40, priority=Priority.LOW)

    assert len(await harness.shards.to_announce(low.job_id)) == 8


async def test_the_lowest_job_never_stands_still(harness):
    """One shard at a time is the least."""
    await harness.submit(rows=40, priority=Priority.HIGH)
    low = await harness.submit(rows=40, priority=Priority.LOW)

    assert len(await harness.shards.to_announce(low.job_id)) == 1
