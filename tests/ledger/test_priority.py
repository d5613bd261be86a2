"""How jobs that run at once share the workers: by the shards that each may have announced."""

from __future__ import annotations

import pytest

from ledger.job import Priority


async def test_jobs_of_one_priority_get_the_same_window(desk):
    """As many as one job alone would get; their messages take turns in the queue."""
    await desk.ledger.workers.beat("w1", 7)
    first, second = await desk.submit(rows=40), await desk.submit(rows=40)

    assert len(await desk.shards.to_announce(first.job_id)) == 8
    assert len(await desk.shards.to_announce(second.job_id)) == 8


@pytest.mark.parametrize(("priority", "window"), [("high", 8), ("normal", 4), ("low", 2)])
async def test_a_job_of_high_priority_makes_room_for_itself(desk, priority, window):
    """Twice what normal gets, four times what low gets."""
    await desk.ledger.workers.beat("w1", 7)
    await desk.submit(rows=40, priority=Priority.HIGH)
    other = await desk.submit(rows=40, priority=Priority(priority))

    assert len(await desk.shards.to_announce(other.job_id)) == window


async def test_a_job_of_low_priority_alone_has_all_workers(desk):
    """Also beside jobs that are paused or have ended: they need nobody."""
    await desk.ledger.workers.beat("w1", 7)
    idle = await desk.submit(rows=40, priority=Priority.HIGH)
    await desk.ledger.jobs.pause(idle.job_id, by="test", code="paused", reason="by a test")
    low = await desk.submit(rows=40, priority=Priority.LOW)

    assert len(await desk.shards.to_announce(low.job_id)) == 8


async def test_the_lowest_job_never_stands_still(desk):
    """One shard at a time is the least."""
    await desk.submit(rows=40, priority=Priority.HIGH)
    low = await desk.submit(rows=40, priority=Priority.LOW)

    assert len(await desk.shards.to_announce(low.job_id)) == 1
