"""A failing endpoint is told from a failing row, by what all turns saw together."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis.asyncio import Redis

from ratelimit.breaker import CircuitBreaker, health_key
from ratelimit.limits import Limit, Limits, SharedLimit

LIMIT = "relabel:limit:test"


@pytest.fixture
def health(redis):
    """What one turn saw."""
    return CircuitBreaker(redis, LIMIT)


async def paused(redis):
    """Seconds that the shared pause lasts, and why."""
    grant = await Limits(redis).acquire(1, SharedLimit(LIMIT, Limit(1000.0, 10)))
    return grant.status.paused_s, grant.status.paused_by


async def lasts(redis, seconds, *, began):
    """Whether a pause that was set since this monotonic time lasts so many seconds, however late it is looked at."""
    left = (await paused(redis))[0]
    return left <= seconds <= left + time.monotonic() - began


def saw(health, *, write=True, well=0, failed=0):
    """Let the turn see answers."""
    for _ in range(well):
        health.record(write=write, succeeded=True)
    for _ in range(failed):
        health.record(write=write, succeeded=False)


async def test_a_row_is_to_blame_where_others_succeed(redis, health):
    """One success lately is enough."""
    saw(health, well=1, failed=5)

    assert await health.row_at_fault(write=True)
    assert await paused(redis) == (0.0, "")


async def test_the_endpoint_is_to_blame_where_nothing_succeeds(health):
    """Nobody knows yet whether it is the row, so it waits on."""
    saw(health, failed=5)

    assert not await health.row_at_fault(write=True)


async def test_reads_that_succeed_do_not_speak_for_writes(health):
    """An API may read well and write badly."""
    saw(health, write=False, well=20)
    saw(health, write=True, failed=5)

    assert not await health.row_at_fault(write=True)
    saw(health, write=False, failed=1)
    assert await health.row_at_fault(write=False)


async def test_what_another_turn_saw_counts(redis, health):
    """The verdict is that of all turns on the endpoint."""
    other = CircuitBreaker(redis, LIMIT)
    saw(other, well=1)
    await other.row_at_fault(write=True)
    saw(health, failed=3)

    assert await health.row_at_fault(write=True)


async def test_a_storm_pauses_everybody(redis, health):
    """Ten failures and half of all are a storm: the shared limit is paused, and says why."""
    saw(health, well=9, failed=10)
    began = time.monotonic()

    assert not await health.row_at_fault(write=True)

    assert await lasts(redis, 2, began=began)
    assert (await paused(redis))[1] == "failing"


async def test_ten_failures_among_many_successes_are_no_storm(redis, health):
    """A share below a half is the rows' own trouble."""
    saw(health, well=11, failed=10)

    assert await health.row_at_fault(write=True)
    assert await paused(redis) == (0.0, "")


async def test_each_probe_that_fails_doubles_the_pause_and_one_that_succeeds_ends_the_storm(redis, health):
    """2, 4, 8 seconds; then everything is as before."""
    saw(health, failed=10)
    for seconds in (2, 4, 8):
        began = time.monotonic()
        await health.row_at_fault(write=True)
        assert await lasts(redis, seconds, began=began)
        await redis.hset(LIMIT, "pause_until", 0)
        saw(health, failed=1)
    await health.row_at_fault(write=True)

    await redis.hset(LIMIT, "pause_until", 0)
    saw(health, well=1)
    await health.row_at_fault(write=True)

    assert await redis.hget(LIMIT, "probing") is None
    saw(health, failed=1)
    await health.row_at_fault(write=True)
    assert (await paused(redis))[0] == 0


async def test_while_it_probes_only_one_request_a_second_goes(redis, health):
    """A storm is not met with the full rate."""
    saw(health, failed=10)
    await health.row_at_fault(write=True)
    await redis.hset(LIMIT, "pause_until", 0)

    limits = Limits(redis)
    first = await limits.acquire(10, SharedLimit(LIMIT, Limit(1000.0, 10)))
    second = await limits.acquire(10, SharedLimit(LIMIT, Limit(1000.0, 10)))

    assert (len(first.slots), len(second.slots)) == (1, 0)
    assert 0 < second.ask_again_s <= 1


async def test_failures_are_pinned_on_rows_after_a_storm_of_a_quarter_of_an_hour(redis, health):
    """Waiting has a bound."""
    saw(health, failed=3)
    assert not await health.row_at_fault(write=True)

    since = float(await redis.hget(health_key(LIMIT), "write_since"))
    await redis.hset(health_key(LIMIT), "write_since", since - 901)
    saw(health, failed=1)

    assert await health.row_at_fault(write=True)


async def test_without_redis_nobody_is_blamed_and_nothing_is_forgotten(redis, health):
    """What was seen is said when Redis is back."""
    away = Redis(host="127.0.0.1", port=1, retry=None, socket_connect_timeout=1)
    other = CircuitBreaker(away, LIMIT)
    saw(other, failed=1)
    assert not await other.row_at_fault(write=True)
    await away.aclose()

    assert other._seen == [0, 0, 0, 1]


async def test_every_key_expires(redis, health):
    """Nothing of an endpoint stays for ever."""
    saw(health, failed=10)
    await health.row_at_fault(write=True)

    assert [await redis.ttl(key) > 0 for key in (LIMIT, health_key(LIMIT))] == [True, True]


async def test_a_turn_that_ends_just_then_ends_its_reports(redis):
    """Cancelled at any moment of a report, the reporting task ends (python/cpython#86296)."""
    reporters = [CircuitBreaker(redis, LIMIT) for _ in range(150)]
    for reporter in reporters:
        saw(reporter, well=1)
    tasks = [asyncio.create_task(reporter.run()) for reporter in reporters]
    loop = asyncio.get_running_loop()
    for place, task in enumerate(tasks):
        loop.call_later(0.5 + place * 0.0015, task.cancel)

    _, pending = await asyncio.wait(tasks, timeout=60)

    assert not pending
