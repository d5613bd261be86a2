"""What somebody who has no key sees of the shared rates."""

from __future__ import annotations

from ratelimit.breaker import FIRST_PAUSE_S, LEAST_FAILURES, CircuitBreaker
from ratelimit.headers import Remaining
from ratelimit.limits import LONGEST_PAUSE_S, Limit, Limits, SharedLimit, limit_key
from ratelimit.shared_rate import limits_in_use, record_use

SHARED = SharedLimit(limit_key("https://api.example/v1", "sk-canary", None, None), Limit(10.0, 2))


async def note(redis):
    """Use the limit as a worker does."""
    await record_use(redis, SHARED, endpoint="https://api.example/v1")


async def test_a_limit_is_seen_with_its_host_and_rates_once_it_is_used(redis):
    """And not before; its name gives nothing of the key away."""
    limits = Limits(redis)
    await limits.acquire(1, SHARED)
    assert await limits_in_use(redis) == []

    await note(redis)
    await redis.hset(SHARED[0], "rate", "4")
    (seen,) = await limits_in_use(redis)

    assert (seen.endpoint, seen.configured, seen.status.asked, seen.status.used) == (
        "api.example",
        Limit(10.0, 2),
        4.0,
        1.0,
    )
    assert SHARED[0].endswith(seen.name)
    assert seen.paused_s == {"rate_limited": 0.0, "failing": 0.0, "used_up": 0.0}
    assert await redis.ttl(SHARED[0]) > 0


async def test_a_word_about_a_limit_shortens_no_life(redis):
    """A rate that was set live stays for a year."""
    await redis.hset(SHARED[0], "rate", "4")
    await redis.expire(SHARED[0], 9_000_000)

    await note(redis)

    assert await redis.ttl(SHARED[0]) > 8_000_000


async def test_paused_seconds_add_up_by_reason(redis):
    """Each pause counts once, and one that comes within another only with what it adds."""
    limits = Limits(redis)
    await note(redis)

    await limits.pause(SHARED[0], 4.0)
    await limits.pause(SHARED[0], 4.0)
    await limits.pause(SHARED[0], 10.0)
    await limits.acquire(1, SHARED, remaining=Remaining(0, 600.0))
    (seen,) = await limits_in_use(redis)

    assert 10.0 <= seen.paused_s["rate_limited"] < 20.0
    assert LONGEST_PAUSE_S - 10.0 <= seen.paused_s["used_up"] <= LONGEST_PAUSE_S
    assert sum(seen.paused_s.values()) >= LONGEST_PAUSE_S


async def test_a_storm_counts_as_paused_by_the_endpoint(redis):
    """Only where it begins a pause."""
    await note(redis)
    health = CircuitBreaker(redis, SHARED[0])
    for _ in range(LEAST_FAILURES):
        health.record(write=True, succeeded=False)

    await health.row_at_fault(write=True)
    (seen,) = await limits_in_use(redis)

    assert seen.paused_s["failing"] == FIRST_PAUSE_S


async def test_since_when_a_limit_is_slowed_down_is_known_until_it_is_not(redis):
    """From the first slot that is wanted at the lower rate on; a second 429 begins nothing new."""
    limits, began = Limits(redis), (await redis.time())[0]
    await note(redis)
    await limits.acquire(1, SHARED)
    await limits.pause(SHARED[0], 4.0)
    await limits.acquire(1, SHARED)
    (slowed,) = await limits_in_use(redis)
    await limits.pause(SHARED[0], 4.0)
    await limits.acquire(1, SHARED)
    (still,) = await limits_in_use(redis)
    await redis.hdel(SHARED[0], "ceiling")
    await limits.acquire(1, SHARED)
    (over,) = await limits_in_use(redis)

    assert slowed.slowed_at >= began
    assert (still.slowed_at, over.slowed_at) == (slowed.slowed_at, None)
    assert not await redis.hexists(SHARED[0], "slowed_at")
