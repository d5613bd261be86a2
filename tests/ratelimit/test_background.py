"""Work in the background, such as a selection, gets a tenth of the rate while a job runs, and all of it without one."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from completions.client import open_api
from completions.listing import ListQuery, open_list
from completions.target import Target
from ledger.ledger import Ledger
from ratelimit.limits import Limit, Limits, SharedLimit, rates_key
from sandbox.completion import Completion, new_id
from tests.harness.worker_harness import LIMIT_KEY

KEY = "relabel:limit:background"
SHARED = SharedLimit(KEY, Limit(100.0, 10))


async def now_of(redis):
    seconds, micros = await redis.time()
    return seconds + micros / 1e6


async def slots_of(redis, *, background, job_id=None, asks=40, want=20):
    """The moments of the slots that one asker after the other is given."""
    await redis.hset(KEY, "proved", 10_000)  # the limit was used before
    moments = []
    for _ in range(asks):
        grant = await Limits(redis).acquire(want, SHARED, job_id=job_id, background=background)
        moments += [await now_of(redis) + slot for slot in grant.slots]
    return moments


async def test_beside_a_job_it_gets_a_tenth_and_the_job_the_rest(redis):
    began = await now_of(redis)
    await Limits(redis).acquire(1, SHARED, job_id="job")

    behind, ahead = await asyncio.gather(
        slots_of(redis, background=True), slots_of(redis, background=False, job_id="job")
    )

    horizon = await now_of(redis) - began + 0.25
    assert 1 <= len(behind) <= 10.0 * horizon + 1
    beside = [at for at in behind if at > ahead[0]]
    assert len(ahead) >= 7 * (len(beside) - 1), "of ten slots, the job has nine"
    assert len(ahead) > 10


@pytest.mark.parametrize("job_ran_s_ago", [None, 11])
async def test_without_a_job_it_gets_all_of_it(redis, job_ran_s_ago):
    if job_ran_s_ago is not None:
        await Limits(redis).acquire(1, SHARED, job_id="job")
        await redis.hset(KEY, "job_at", await now_of(redis) - job_ran_s_ago)

    slots = await slots_of(redis, background=True)

    assert len(slots) >= 0.8 * 100.0 * 0.25


async def test_a_job_that_waits_for_the_rate_counts_as_well(redis):
    """It was given nothing, as all is paused; the selection does not overtake it when the pause ends."""
    await Limits(redis).pause(KEY, 30.0)
    assert not (await Limits(redis).acquire(5, SHARED, job_id="job")).slots

    status = (await Limits(redis).acquire(0, SHARED)).status

    assert status.background == pytest.approx(status.rate / 10)


async def test_its_own_settings_count_for_no_worker(redis):
    """A selection on a laptop with other settings does not slow the workers down."""
    await Limits(redis).acquire(1, SharedLimit(KEY, Limit(3.0, 1)), background=True)
    assert await redis.zcard(rates_key(KEY)) == 0

    await Limits(redis).acquire(1, SHARED, job_id="job")

    assert (await Limits(redis).acquire(0, SHARED)).status.rate == 100.0


async def test_its_part_of_what_is_used_is_shown(redis):
    await Limits(redis).acquire(3, SHARED, job_id="job")
    await Limits(redis).acquire(1, SHARED, background=True)

    status = (await Limits(redis).acquire(0, SHARED)).status

    assert (status.rate, status.background) == (100.0, 10.0)
    assert 0 < status.background_used <= 1 < status.used <= 4
    assert await redis.ttl(KEY) > 0


async def test_a_real_reading_beside_a_real_job_sends_a_tenth_of_the_requests(harness, redis):
    """Both talk to one API over HTTP; the sandbox counts who sent what while the job ran."""
    rate = 150.0
    harness.limit = Limit(rate, 15)
    rows = {f"chatcmpl-row-{number:08d}": {"team": "blue"} for number in range(200)}
    harness.sandbox.store.load(rows)
    for number in range(4000):
        harness.sandbox.store.add(Completion(new_id(1_795_000_000, f"{number:024d}"), 1_795_000_000, {}))
    job_id = await harness.submit(*[(each, {"team": "red"}) for each in rows])
    shared, pages = SharedLimit(LIMIT_KEY, harness.limit), 0

    async def select():
        nonlocal pages
        async with (
            open_api(Target(harness.sandbox.base_url, "sk-list-key-01234567"), in_flight=2) as api,
            open_list(Ledger(redis), api, shared, ListQuery(limit=1), name="test") as reader,
            contextlib.aclosing(reader.pages()) as read,
        ):
            async for _ in read:
                pages += 1

    await Limits(redis).acquire(1, shared, job_id=job_id)
    selection = asyncio.create_task(select())
    try:
        await harness.turn(job_id)
    finally:
        selection.cancel()
        await asyncio.gather(selection, return_exceptions=True)

    entries = list(harness.sandbox.log.entries)
    took_s = entries[-1].started_s - entries[0].started_s
    lists = sum(entry.operation == "list" for entry in entries)
    assert (await harness.job(job_id)).counts.updated == 200
    assert 5 <= lists <= 0.1 * rate * (took_s + 0.25) + 1
    assert len(entries) - lists >= 400
