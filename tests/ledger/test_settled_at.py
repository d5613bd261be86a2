"""When each row was settled is kept to the second, by the server's clock, also where no detail is."""

from __future__ import annotations

from ledger.codec import Detail
from ledger.job import Traffic
from ledger.keys import JobKeys
from ledger.row import Outcome
from ledger.row_reader import read_row, read_rows
from ledger.settlements import Settlement


async def test_rows_of_a_worker_and_of_a_closed_shard_have_the_time_of_their_end(harness):
    """A row that is settled twice keeps the first; one that is open has none."""
    spec = await harness.submit(rows=6, shard_rows=2)
    before = int(await harness.ledger.jobs.now())
    shard = await harness.lease(spec, 0)
    await harness.ledger.settlements.settle(shard, [Settlement(1, Outcome.UPDATED)], Traffic())
    await harness.redis.setrange(JobKeys(spec.job_id).times, 4, (1_700_000_000).to_bytes(4, "big"))
    again = [Settlement(1, Outcome.FAILED), Settlement(0, Outcome.UNCHANGED)]
    await harness.ledger.settlements.settle(shard, again, Traffic())
    await harness.shards.close(spec, 2, Outcome.FAILED, Detail("worker_crash", 0, "", "", 0, 0.0))
    after = int(await harness.ledger.jobs.now())

    rows = [row async for row in read_rows(harness.redis, spec)]
    settled = [row.settled_at for row in rows]
    assert settled[1:4] == [1_700_000_000, None, None]
    assert all(at is not None and before <= at <= after for at in (settled[0], *settled[4:]))
    assert [await read_row(harness.redis, spec, row) for row in range(6)] == rows


async def test_a_job_of_release_one_has_no_times_and_gets_none(harness):
    """Workers of this release settle its rows; a key that came up late would outlive the job."""
    spec = await harness.submit(rows=2, shard_rows=2)
    await harness.redis.delete(JobKeys(spec.job_id).times)
    shard = await harness.lease(spec, 0)

    await harness.ledger.settlements.settle(shard, [Settlement(0, Outcome.UPDATED)], Traffic())

    assert [row.settled_at async for row in read_rows(harness.redis, spec)] == [None, None]
    assert not await harness.redis.exists(JobKeys(spec.job_id).times)
