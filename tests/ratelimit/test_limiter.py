"""One rate for all: no window holds more than it should, everybody pauses together, and without Redis nobody goes."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.clock import Clocks
from ledger.connect import new_client
from ledger.keys import JobKeys
from ratelimit.limiter import HandBack, RateLimiter
from ratelimit.limits import HORIZON_S, Limit, Limits, SharedLimit, limit_key, rates_key

KEY = "relabel:limit:test"
LONG_S = 30.0
"""Bound of what comes at once on a machine that has time."""


@pytest.fixture
async def limiters(redis_url):
    """Make limiters as different processes have them: each with a client of its own."""
    async with AsyncExitStack() as stack:

        def make(limit, *, job_id="job", url=redis_url, **more):
            client = new_client(url)
            stack.push_async_callback(client.aclose)
            limiter = RateLimiter(Limits(client), SharedLimit(KEY, limit), job_id=job_id, **more)
            stack.push_async_callback(limiter.aclose)
            return limiter

        yield make


async def server_time(redis):
    """The clock that all share."""
    seconds, micros = await redis.time()
    return seconds + micros / 1e6


async def leased(redis, limits, shared, *, job_id=None, asks=40, want=5):
    """The slots that one asker after the other is given, without waiting for them: each from when to when it may be."""
    moments = []
    for _ in range(asks):
        before = await server_time(redis)
        grant = await limits.acquire(want, shared, job_id=job_id)
        after = await server_time(redis)
        moments += [(before + slot, after + slot) for slot in grant.slots]
    return moments


async def quiet_for(redis, seconds):
    """Let the last pause have ended so many seconds ago."""
    ended = await server_time(redis) - seconds
    await redis.hset(KEY, mapping={"pause_until": ended, "refused_until": ended})


def most_in(moments, seconds):
    """The most slots that any window of so many seconds holds for certain, however slow the asking was."""
    starts = [earliest for earliest, _ in moments]
    return max(sum(start <= early and late < start + seconds for early, late in moments) for start in starts)


async def spend(limiter, number, *, write=False):
    """The moments at which one limiter lets so many requests go."""
    moments = []

    async def one():
        await limiter.acquire(write=write)
        moments.append(time.monotonic())

    await asyncio.gather(*(one() for _ in range(number)))
    return moments


# --- how many ---


@pytest.mark.parametrize(("rate", "burst"), [(50.0, 1), (200.0, 20), (1000.0, 100), (10.0, 5)])
async def test_no_window_of_leased_slots_holds_more_than_rate_and_burst(redis, rate, burst):
    """Slots are given ahead of time; their moments keep the limit whoever asks, and how much he asks for."""
    await redis.hset(KEY, "proved", 10_000)  # a limit that was used before
    asks = [leased(redis, Limits(redis), SharedLimit(KEY, Limit(rate, burst)), want=want) for want in (1, 3, 50, 1000)]
    moments = [moment for part in await asyncio.gather(*asks) for moment in part]

    assert len(moments) >= burst
    for seconds in (0.01, 0.05, 0.1, 0.2):
        assert most_in(moments, seconds) <= rate * seconds + burst + 1


async def test_workers_that_are_set_to_different_rates_keep_the_lowest_together(redis):
    """The lowest that a living worker asks for holds for all, whoever asks how often; it is the one that is shown."""
    slow, fast = SharedLimit(KEY, Limit(10.0, 1)), SharedLimit(KEY, Limit(100.0, 10))
    await Limits(redis).acquire(0, slow, alive=True)  # the heartbeat of a worker that has nothing to do

    parts = await asyncio.gather(*(leased(redis, Limits(redis), shared) for shared in (fast, slow, fast)))

    moments = [moment for part in parts for moment in part]
    assert len(moments) >= 2
    for seconds in (0.1, 0.2, 0.5):
        assert most_in(moments, seconds) <= 10.0 * seconds + 1 + 1
    for shared in (slow, fast, SharedLimit(KEY, Limit(3.0, 1))):
        status = (await Limits(redis).acquire(0, shared)).status
        assert (status.rate, status.asked, status.asks) == (10.0, 10.0, (10.0, 100.0)), "a look asks for nothing"


async def test_a_lower_rate_holds_as_long_as_a_worker_that_asks_for_it_lives(redis):
    """And a rate that was set live goes before what any worker asks for."""
    limits, fast = Limits(redis), SharedLimit(KEY, Limit(100.0, 10))
    await limits.acquire(0, SharedLimit(KEY, Limit(10.0, 1)), alive=True)
    await limits.acquire(1, fast)
    await redis.hset(KEY, mapping={"rate": 50.0, "burst": 5})
    assert (await limits.acquire(1, fast)).status.rate == 50.0
    await redis.hdel(KEY, "rate", "burst")

    await redis.zadd(rates_key(KEY), {"10.0|1": await server_time(redis) - 16})

    assert (await limits.acquire(1, fast)).status.rate == 100.0
    assert 0 < await redis.ttl(rates_key(KEY)) <= 60


async def test_slots_are_given_no_further_ahead_than_the_horizon(redis):
    """So a pause or a new rate is in effect soon."""
    limits, shared = Limits(redis), SharedLimit(KEY, Limit(20.0, 1))
    slots = []
    while (grant := await limits.acquire(100, shared)).slots:
        slots += grant.slots
    assert max(slots) <= HORIZON_S
    assert 0 < grant.ask_again_s <= 1 / 20.0


async def test_a_lease_is_part_of_what_was_asked_for(redis):
    """Nobody takes more than a tenth of a second's worth at a time, so that others get some."""
    limits = Limits(redis)
    await redis.hset(KEY, "proved", 10_000)  # a limit that was used before

    assert len((await limits.acquire(1000, SharedLimit(KEY, Limit(200.0, 200)))).slots) == 20
    assert len((await limits.acquire(3, SharedLimit(KEY, Limit(200.0, 200)))).slots) == 3
    assert len((await limits.acquire(5, SharedLimit("relabel:limit:slow", Limit(0.5, 5)))).slots) == 1


async def test_many_limiters_together_keep_one_rate_and_use_it(limiters):
    """Four processes' worth of waiting rows, one limit."""
    limit, began = Limit(200.0, 10), time.monotonic()
    parts = await asyncio.gather(*(spend(limiters(limit), 60) for _ in range(4)))
    moments = sorted(moment - began for part in parts for moment in part)

    assert len(moments) == 240
    assert all(number <= 200 * moment + 10 + 1 for number, moment in enumerate(moments, 1))
    assert all(len(part) == 60 for part in parts)


async def test_a_job_may_have_a_lower_rate_of_its_own(redis):
    """Both limits are kept; the other jobs keep theirs."""
    limits, shared = Limits(redis), SharedLimit(KEY, Limit(1000.0, 100))
    await redis.hset(KEY, "proved", 10_000)  # a limit that was used before
    await redis.hset(JobKeys("a").job, "rate_per_minute", 20 * 60)
    began = await server_time(redis)
    slow = await leased(redis, limits, shared, job_id="a")
    took = await server_time(redis) - began
    fast = await leased(redis, limits, shared, asks=10)

    assert most_in(slow, 0.2) <= 20 * 0.2 + 2 + 1
    assert len(slow) <= 20 * (took + HORIZON_S) + 2 + 1
    assert len(fast) == 10 * 5


async def test_a_lower_shared_rate_holds_for_a_faster_job(redis):
    """The job's own rate lifts nothing."""
    await redis.hset(JobKeys("a").job, "rate_per_minute", 1000 * 60)
    moments = await leased(redis, Limits(redis), SharedLimit(KEY, Limit(20.0, 2)), job_id="a")

    assert most_in(moments, 0.2) <= 20 * 0.2 + 2 + 1


async def test_a_live_rate_goes_before_that_of_the_settings(redis):
    """Fields in the hash are set while workers run."""
    limits, shared = Limits(redis), SharedLimit(KEY, Limit(10.0, 1))
    await redis.hset(KEY, mapping={"rate": 1000, "burst": 50, "proved": 10_000})

    assert (await limits.acquire(1000, shared)).slots.count(0.0) == 50

    await redis.hset(KEY, mapping={"rate": 1, "burst": 1, "tat": 0})
    assert len((await limits.acquire(1000, shared)).slots) == 1
    assert len((await limits.acquire(1000, shared)).slots) == 0


@given(per_minute=st.floats(0.001, 1e7), burst=st.none() | st.integers(1, 100_000))
def test_a_limit_lets_at_least_one_request_go_at_once(per_minute, burst):
    """However low the rate is."""
    limit = Limit.per_minute(per_minute, burst)

    assert limit.rate == pytest.approx(per_minute / 60)
    assert limit.burst == (burst or max(1, int(per_minute / 600)))


def test_the_name_of_a_limit_tells_nothing_of_the_key():
    """The same endpoint, key and organisation share it, others do not."""
    names = {
        limit_key("https://a/v1", "sk-canary", None, None),
        limit_key("https://b/v1", "sk-canary", None, None),
        limit_key("https://a/v1", "sk-other", None, None),
        limit_key("https://a/v1", "sk-canary", "org", None),
        limit_key("https://a/v1", "sk-canary", None, "org"),
        limit_key("https://a/v1", "sk-canary", None, None, "org"),
        limit_key("https://b/v1", "sk-canary", None, None, "org"),
        limit_key("https://b/v1", "sk-canary", None, "org"),
    }

    assert len(names) == 8
    assert limit_key("https://a/v1", "sk-canary", None, None) in names
    assert [name for name in names if "canary" in name] == []


def test_a_limit_with_a_name_or_a_project_outlives_its_key():
    """A rotated key would double the rate else: workers with the old one and with the new one beside each other."""
    for project, name in [("proj", None), (None, "night"), ("proj", "night")]:
        before, after = (limit_key("https://a/v1", key, None, project, name) for key in ("sk-before", "sk-after"))
        assert before == after
    named = {limit_key("https://a/v1", "sk-x", None, project, "night") for project in (None, "proj")}
    assert len(named) == 1


def test_a_limit_without_either_is_that_of_release_one():
    """A rate that was set live stays set: SHA-256 of URL, key, organisation and an empty project."""
    assert limit_key("https://a/v1", "sk-x", "org", None) == "relabel:limit:ed8750d05443b40e"


# --- pauses ---


async def test_a_pause_stops_everybody(redis):
    """No slot before its end, for nobody; and the wait is told, with its reason."""
    limits, shared = Limits(redis), SharedLimit(KEY, Limit(1000.0, 10))

    assert await limits.pause(KEY, 60.0) == pytest.approx(60.0, abs=0.01)

    grant = await Limits(redis).acquire(10, shared)
    assert grant.slots == []
    assert 0 < grant.status.paused_s <= 60
    assert grant.status.paused_by == "rate_limited"
    assert grant.ask_again_s <= 60


async def test_a_pause_ends_and_the_slots_after_it_keep_the_rate(redis):
    """All that waited do not go at once."""
    limits, shared = Limits(redis), SharedLimit(KEY, Limit(100.0, 3))
    before = await server_time(redis)
    await limits.pause(KEY, 0.1)
    moments = await leased(redis, limits, shared)

    assert all(latest >= before + 0.1 for _, latest in moments)
    assert most_in(moments, 0.05) <= 100 * 0.05 + 3 + 1


async def test_a_longer_pause_is_not_cut_short(redis):
    """A second answer with a shorter word does not end the first."""
    limits = Limits(redis)
    await limits.pause(KEY, 60.0)
    ends = await redis.hget(KEY, "pause_until")

    assert 0.5 < await limits.pause(KEY, 0.5) <= 60
    assert 0.5 < await limits.pause(KEY, None) <= 60
    assert await redis.hget(KEY, "pause_until") == ends
    assert await limits.pause(KEY, 90.0) == pytest.approx(90.0, abs=0.01)


async def test_many_429s_at_once_are_one_event(redis):
    """Requests that were under way when the pause began do not lengthen it."""
    limits = Limits(redis)

    # all were sent a while ago, so that it does not matter how soon after one another they are told
    pauses = await asyncio.gather(*(limits.pause(KEY, None, sent_s_ago=60.0) for _ in range(30)))

    assert max(pauses) <= 0.5
    assert int(await redis.hget(KEY, "pauses")) == 1


async def test_each_further_pause_is_twice_as_long_up_to_a_bound(redis):
    """Half a second, one, two, four... half a minute; after a quiet while it begins anew."""
    limits, lengths = Limits(redis), []
    for _ in range(9):
        lengths.append(round(await limits.pause(KEY, None), 1))
        await quiet_for(redis, 0.01)
    assert lengths == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]

    await quiet_for(redis, 6)
    assert await limits.pause(KEY, None) <= 0.5


async def test_a_limit_expires(redis):
    """A limit that nobody uses any more goes."""
    await redis.hset(JobKeys("j").job, "rate_per_minute", 60)
    await Limits(redis).acquire(1, SharedLimit(KEY, Limit(1.0, 1)), job_id="j")
    assert [await redis.ttl(key) > 0 for key in (KEY, "relabel:{j}:limit")] == [True, True]
    await redis.delete(KEY)
    await Limits(redis).pause(KEY, 1.0)
    assert await redis.ttl(KEY) > 0


# --- who goes first, and who goes not at all ---


async def test_writes_go_before_reads(limiters):
    """A row that was read is soon written."""
    limiter, order = limiters(Limit(50.0, 1)), []

    async def one(write):
        await limiter.acquire(write=write)
        order.append(write)

    await asyncio.gather(*(one(write) for write in [False] * 6 + [True] * 6))

    assert order[:6].count(True) >= 5


async def test_slots_that_were_leased_before_a_stop_are_dropped(limiters, redis):
    """Ten are leased together; a worker that slept after the first leases anew instead of spending them at once."""
    slept = []
    clocks = Clocks(lambda: time.monotonic() + sum(slept), lambda: time.time() + sum(slept))
    limiter = limiters(Limit(40.0, 1), clocks=clocks)

    async def one():
        await limiter.acquire(write=False)
        if not slept:
            slept.append(10.0)

    await asyncio.wait_for(asyncio.gather(*(one() for _ in range(10))), LONG_S)

    used = await redis.hmget(KEY, "used", "used_before")
    assert sum(int(slots or 0) for slots in used) > 10


async def test_closing_to_reads_lets_writes_go_on(limiters):
    """Whoever waits to read hands its row back; whoever has read may still write."""
    limiter = limiters(Limit(5.0, 1))
    await limiter.acquire(write=False)
    read = asyncio.create_task(limiter.acquire(write=False))
    write = asyncio.create_task(limiter.acquire(write=True))
    await asyncio.sleep(0)

    limiter.close(to_writes=False)

    with pytest.raises(HandBack):
        await asyncio.wait_for(read, LONG_S)
    await asyncio.wait_for(write, LONG_S)
    with pytest.raises(HandBack):
        await limiter.acquire(write=False)


async def test_closing_altogether_frees_everybody_at_once(limiters):
    """Even in the middle of a long pause."""
    limiter = limiters(Limit(0.01, 1))
    await limiter.acquire(write=True)
    waiting = [asyncio.create_task(limiter.acquire(write=bool(n % 2))) for n in range(6)]
    await asyncio.sleep(0)
    assert limiter.waiting == 6

    limiter.close(to_writes=True)

    ends = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), LONG_S)
    assert [type(end) for end in ends] == [HandBack] * 6
    assert limiter.waiting == 0


async def test_who_gives_up_waiting_blocks_nobody(limiters):
    """A cancelled waiter's slot goes to the next."""
    limiter = limiters(Limit(50.0, 1))
    waiting = [asyncio.create_task(limiter.acquire(write=False)) for _ in range(12)]
    await asyncio.sleep(0)
    for task in waiting[:10]:
        task.cancel()

    await asyncio.wait_for(asyncio.gather(*waiting[10:]), LONG_S)

    assert all(task.cancelled() for task in waiting[:10])
    await asyncio.wait_for(limiter.acquire(write=False), LONG_S)


# --- without Redis ---


async def test_without_redis_nobody_goes_and_with_it_everybody_goes_on(limiters, private_redis, eventually):
    """It fails closed, and needs no help to open again."""
    limiter = limiters(Limit(1000.0, 100), url=private_redis.ledger_url)
    await limiter.acquire(write=False)
    client = new_client(private_redis.ledger_url)
    paused = time.monotonic()
    await client.execute_command("CLIENT", "PAUSE", "1500", "ALL")

    await asyncio.wait_for(limiter.acquire(write=False), LONG_S)

    assert time.monotonic() - paused > 1.4
    await client.aclose()


async def test_a_redis_that_is_full_gives_no_slots_until_it_has_room(limiters, private_redis):
    """Out of memory is away, not an error that ends the handing out."""
    limiter = limiters(Limit(1000.0, 100), url=private_redis.ledger_url)
    await limiter.acquire(write=False)
    client = new_client(private_redis.ledger_url)
    await client.config_set("maxmemory", 1)

    waiting = asyncio.create_task(limiter.acquire(write=False))
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done

    await client.config_set("maxmemory", 0)
    await asyncio.wait_for(waiting, LONG_S)
    await client.aclose()


async def test_a_redis_that_refuses_to_write_for_a_while_gives_no_slots_meanwhile(limiters, private_redis):
    """A full disk (MISCONF) or missing replicas (NOREPLICAS) pass too."""
    limiter = limiters(Limit(1000.0, 100), url=private_redis.ledger_url)
    await limiter.acquire(write=False)
    client = new_client(private_redis.ledger_url)
    await client.config_set("min-replicas-to-write", 1)

    waiting = asyncio.create_task(limiter.acquire(write=False))
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done

    await client.config_set("min-replicas-to-write", 0)
    await asyncio.wait_for(waiting, LONG_S)
    await client.aclose()
