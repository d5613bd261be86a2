"""A job whose rows ought to end and do not says since when, and what the API answered last."""

from __future__ import annotations

import pytest

from ledger.keys import JobKeys
from ledger.progress import LastError, Standstill, Waits, progress_at, standstill

SLOW = {b"before_at": b"1000", b"before_rows": b"4", b"mark_at": b"1400", b"mark_rows": b"8"}
"""A row ends every 100 s."""
ERROR = b'{"status":500,"code":"server_error","message":"no"}'


@pytest.mark.parametrize(
    ("pace", "since", "now", "stands"),
    [
        ({}, 1000.0, 1014.0, None),
        ({}, 1000.0, 1015.0, Standstill(1000.0, 15.0, None)),
        (SLOW, 1400.0, 1699.0, None),
        (SLOW, 1400.0, 1700.0, Standstill(1400.0, 300.0, None)),
        (
            {b"last_error": ERROR, b"last_error_at": b"1001"},
            1000.0,
            1060.0,
            Standstill(1000.0, 60.0, LastError(500, "server_error", "no")),
        ),
        ({b"last_error": ERROR, b"last_error_at": b"999"}, 1000.0, 1060.0, Standstill(1000.0, 60.0, None)),
    ],
    ids=["usual", "15 s", "slow, usual", "slow, three times as long", "error since", "error before"],
)
def test_a_job_stands_still_once_no_row_ends_for_longer_than_usual(pace, since, now, stands):
    """15 s, or three times what lies between the rows of a slow job; an error from before the last row's end is old."""
    assert standstill(pace, since, now) == stands


def test_a_job_that_an_earlier_release_runs_has_its_progress_in_the_marks():
    """To within 5 s, instead of since its submission."""
    assert progress_at({b"submitted_at": b"100"}, {b"mark_at": b"1400"}) == 1400.0


async def test_a_job_that_stands_still_has_no_time_left_and_the_last_error(harness, redis):
    """Workers report the error with a renewal; rows that end or a resume begin anew."""
    spec = await harness.submit()
    shard = await harness.lease(spec, 0)
    pace = {"settled": 2, "before_at": 1, "before_rows": 0, "mark_at": 2, "mark_rows": 2}
    await redis.hset(JobKeys(spec.job_id).pace, mapping=pace)
    await redis.hset(JobKeys(spec.job_id).job, "running_at", await harness.ledger.jobs.now() - 200)

    await harness.shards.renew(shard, Waits(backing_off=2), LastError(500, "server_error", "The server had an error"))

    job = await harness.ledger.jobs.get(spec.job_id)
    assert job.standstill is not None
    assert (int(job.standstill.seconds), job.standstill.last_error) == (
        200,
        LastError(500, "server_error", "The server had an error"),
    )
    assert (job.rows_per_s > 0, job.eta_s) == (True, None)
    await harness.shards.renew(shard, Waits())
    assert (await harness.ledger.jobs.get(spec.job_id)).standstill.last_error is not None
    await harness.ledger.jobs.pause(spec.job_id, by="t", code="c", reason="r")
    assert (await harness.ledger.jobs.get(spec.job_id)).standstill is None
    await harness.ledger.jobs.resume(spec.job_id, by="t")
    assert (await harness.ledger.jobs.get(spec.job_id)).standstill is None


async def test_a_job_whose_api_fails_has_no_time_left_at_once(harness, redis):
    """Its pace of the last seconds says nothing of what comes."""
    spec = await harness.submit()
    shard = await harness.lease(spec, 0)
    now = await harness.ledger.jobs.now()
    pace = {"settled": 2, "before_at": now - 9, "before_rows": 0, "mark_at": now, "mark_rows": 2, "progress_at": now}
    await redis.hset(JobKeys(spec.job_id).pace, mapping=pace)

    before = await harness.ledger.jobs.get(spec.job_id)
    await harness.shards.renew(shard, Waits(paused_s=8.0, paused_by="failing"))
    after = await harness.ledger.jobs.get(spec.job_id)

    assert before.eta_s is not None
    assert (after.standstill, after.eta_s) == (None, None)
