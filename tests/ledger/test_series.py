"""A job's series: how its rows, requests, 429s and rate went over its life, in a bounded number of points."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from ledger.codec import Detail
from ledger.connect import new_client
from ledger.job import Traffic
from ledger.keys import JobKeys
from ledger.progress import Waits
from ledger.row import Outcome
from ledger.series import MOST_POINTS, read_series
from ledger.settlements import Settlement
from ledger.shards import LeasedShard
from tests.harness.faketime import faketime_library
from tests.ledger.conftest import LedgerHarness
from tests.simulation.server import BEGIN, ClockedRedis

SHARD_ROWS = 1000


@pytest.fixture(scope="module")
def clocked(faketime: None) -> Iterator[ClockedRedis]:
    """A Redis whose clock the test sets."""
    library = faketime_library()
    assert library is not None
    with ClockedRedis(library) as server:
        yield server


@pytest.fixture
async def clocked_harness(clocked: ClockedRedis) -> AsyncIterator[LedgerHarness]:
    """A ledger on it."""
    clocked.set_clock(BEGIN)
    client: Redis = new_client(clocked.url)
    await client.flushdb()
    yield LedgerHarness(client)
    await client.aclose()


async def end_rows(
    harness: LedgerHarness, shard: LeasedShard, rows: range, *, throttled: int = 0, rate: float = 600.0
) -> None:
    """Let a worker end rows, of a shard of which those before them have ended, and renew its lease."""
    traffic = Traffic(requests=2 * rows.stop, throttled=throttled)
    ended = [Settlement(row, Outcome.UPDATED) for row in rows]
    assert await harness.ledger.settlements.settle(shard, ended, traffic) == len(rows)
    assert await harness.shards.renew(shard, Waits(rate_per_minute=rate), traffic=traffic) is not None


async def test_each_point_has_what_came_in_its_time(clocked, clocked_harness):
    """Points are of 5 s; in a time in which nothing came and the rate stayed there is none."""
    harness = clocked_harness
    spec = await harness.submit(rows=SHARD_ROWS, shard_rows=SHARD_ROWS)
    shard = await harness.lease(spec, 0)
    clocked.set_clock(BEGIN + 2)
    await harness.shards.renew(shard, Waits(rate_per_minute=600.0))
    await end_rows(harness, shard, range(10))
    clocked.set_clock(BEGIN + 4)
    await end_rows(harness, shard, range(10, 15), throttled=1)
    clocked.set_clock(BEGIN + 5)
    await end_rows(harness, shard, range(15, 16), throttled=3, rate=420.0)
    clocked.set_clock(BEGIN + 61)
    await end_rows(harness, shard, range(16, 20), throttled=3, rate=420.0)

    series = await read_series(harness.redis, spec.job_id)

    assert (series.seconds, series.began_at) == (5, BEGIN + 2)
    assert [tuple(point) for point in series.points] == [
        (BEGIN, 15, 30, 1, 600.0),
        (BEGIN + 5, 1, 2, 2, 420.0),
        (BEGIN + 60, 4, 8, 0, 420.0),
    ]


async def test_a_job_of_its_own_rate_has_that_one_in_force(harness):
    """Where it is lower than the shared one; a worker that knows none yet changes nothing."""
    spec = await harness.submit()
    shard = await harness.lease(spec, 0)
    rates = []
    for own, shared in ((None, 600.0), (120.5, 600.0), (120.5, 60.0), (120.5, 0.0)):
        await harness.ledger.jobs.set_rate(spec.job_id, own, by="test", why="a test")
        await harness.shards.renew(shard, Waits(rate_per_minute=shared))
        rates.append((await read_series(harness.redis, spec.job_id)).points[-1].rate_per_minute)

    assert rates == [600.0, 120.5, 60.0, 60.0]


async def test_what_happens_twice_counts_once(harness):
    """A settlement and a renewal that are sent again, a renewal that comes late, a shard that is given up and taken."""
    spec = await harness.submit(rows=4, shard_rows=4)
    shard = await harness.lease(spec, 0)
    ended = [Settlement(0, Outcome.UPDATED), Settlement(1, Outcome.FAILED)]
    for _ in range(2):
        await harness.ledger.settlements.settle(shard, ended, Traffic(requests=4, throttled=1))
    for requests in (5, 5, 3, 5):
        await harness.shards.renew(shard, Waits(), traffic=Traffic(requests=requests, throttled=1))
    await harness.ledger.settlements.settle(shard, ended, Traffic(requests=6, throttled=2))
    await harness.expire_lease(spec, 0)
    await harness.shards.rescue(spec.job_id)
    again = await harness.lease(spec, 0, "worker-2")
    await harness.ledger.settlements.settle(again, [Settlement(row, Outcome.UPDATED) for row in (2, 3)], Traffic())
    for _ in range(2):
        await harness.shards.release(again)

    assert await sums(harness, spec.job_id) == (4, 6, 2)
    traffic = (await harness.ledger.jobs.get(spec.job_id)).traffic
    assert (traffic.requests, traffic.throttled) == (6, 2)


async def test_rows_that_no_worker_carried_out_are_not_of_its_pace(harness):
    """Rows that change nothing, are rejected or cancelled end in one moment; those of a parked shard have failed."""
    spec = await harness.submit(rows=6, shard_rows=2, unchanged=7, rejected=3)
    shard = await harness.lease(spec, 0)
    await harness.ledger.settlements.settle(shard, [Settlement(0, Outcome.UNCHANGED)], Traffic(requests=1))
    await harness.shards.release(shard)
    await harness.shards.close(spec, 1, Outcome.FAILED, Detail("worker_crash", 0, "", "", 0, 0.0))
    await harness.ledger.jobs.cancel(spec.job_id, by="test")
    await harness.shards.close_all(spec, Outcome.CANCELLED)

    assert (await harness.counts(spec)).cancelled == 3
    assert await sums(harness, spec.job_id) == (3, 1, 0)


async def test_a_long_life_takes_no_more_than_the_most_points(clocked, clocked_harness):
    """Neighbours are merged: none is lost, each is at its time, and the rate is the one in force last."""
    harness = clocked_harness
    rows = 2 * MOST_POINTS + 20
    spec = await harness.submit(rows=rows, shard_rows=rows)
    shard = await harness.lease(spec, 0)
    stored = set()
    for number in range(rows):
        clocked.set_clock(BEGIN + 5 * number)
        await end_rows(harness, shard, range(number, number + 1), throttled=number // 2, rate=number + 1)
        stored.add((await harness.redis.strlen(JobKeys(spec.job_id).series) - 24) // 20)

    series = await read_series(harness.redis, spec.job_id)

    assert max(stored) == MOST_POINTS
    assert await sums(harness, spec.job_id) == (rows, 2 * rows, (rows - 1) // 2)
    assert series.seconds == 4 * 5
    times = [point.at for point in series.points]
    assert times == sorted(set(times)) == [at - at % 20 for at in times]
    rows_before = 0
    for point in series.points:
        assert rows_before == sum(BEGIN + 5 * each < point.at for each in range(rows)), point
        rows_before += point.rows
        assert point.rate_per_minute == rows_before
    assert await harness.redis.ttl(JobKeys(spec.job_id).series) > 0


@pytest.mark.promise
async def test_a_row_an_hour_for_a_month_and_a_break_of_weeks_fit(clocked, clocked_harness):
    """Points far from each other merge only as far as they must."""
    harness = clocked_harness
    spec = await harness.submit(rows=SHARD_ROWS, shard_rows=SHARD_ROWS)
    shard = await harness.lease(spec, 0)
    moments = [3600 * number for number in range(MOST_POINTS + 1)] + [86_400 * 60 + number for number in range(20)]
    for number, moment in enumerate(moments):
        clocked.set_clock(BEGIN + moment)
        await end_rows(harness, shard, range(number, number + 1))

    series = await read_series(harness.redis, spec.job_id)

    assert len(series.points) <= MOST_POINTS
    assert 3600 < series.seconds <= 4 * 3600
    assert (await sums(harness, spec.job_id))[0] == len(moments)


async def test_a_clock_that_is_set_back_loses_nothing(clocked, clocked_harness):
    """Until it has caught up, what comes is added to the last point; none is out of order."""
    harness = clocked_harness
    spec = await harness.submit(rows=SHARD_ROWS, shard_rows=SHARD_ROWS)
    shard = await harness.lease(spec, 0)
    for number, moment in enumerate((0, 5, 3600, 8, 12, 3606)):
        clocked.set_clock(BEGIN + moment)
        await end_rows(harness, shard, range(number, number + 1))

    points = (await read_series(harness.redis, spec.job_id)).points

    assert [(point.at - BEGIN, point.rows) for point in points] == [(0, 1), (5, 1), (3600, 3), (3605, 1)]


async def test_a_job_of_an_earlier_release_has_no_series_and_gets_none(harness):
    """Workers of this release go on with it; a series that began in mid-job would not sum up."""
    spec = await harness.submit(rows=2, shard_rows=2)
    await harness.redis.delete(JobKeys(spec.job_id).series)
    shard = await harness.lease(spec, 0)
    await end_rows(harness, shard, range(2))
    await harness.shards.release(shard)

    assert await read_series(harness.redis, spec.job_id) is None
    assert not await harness.redis.exists(JobKeys(spec.job_id).series)


async def test_a_renewal_makes_no_counts_of_a_job_that_lost_them(harness):
    """They would stay for ever."""
    spec = await harness.submit(rows=2, shard_rows=2)
    shard = await harness.lease(spec, 0)
    await harness.redis.delete(JobKeys(spec.job_id).counts)

    await harness.shards.renew(shard, Waits(rate_per_minute=60.0), traffic=Traffic(requests=3))

    assert not await harness.redis.exists(JobKeys(spec.job_id).counts)


async def sums(harness: LedgerHarness, job_id: str) -> tuple[int, int, int]:
    """The rows, requests and 429s of all points."""
    points = (await read_series(harness.redis, job_id)).points
    return (
        sum(point.rows for point in points),
        sum(point.requests for point in points),
        sum(point.throttled for point in points),
    )
