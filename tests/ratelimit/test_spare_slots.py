"""While slots are plenty, more are leased than are waited for; none is spent late, or after a 429."""

from __future__ import annotations

import asyncio
import time

import pytest

from ledger.clock import Clocks
from ratelimit.limiter import RateLimiter
from ratelimit.limits import HORIZON_S, Limit, Limits, SharedLimit
from ratelimit.spare_slots import MOST, SpareSlots

KEY = "relabel:limit:test"
PLENTY = Limit(100_000.0, 10_000)


class MovedClocks(Clocks):
    """Clocks that stand still until they are moved."""

    def __init__(self) -> None:
        self.at_s = 1000.0
        super().__init__(running=lambda: self.at_s, wall=lambda: self.at_s)


@pytest.fixture
async def moved():
    """Clocks of a limiter."""
    return MovedClocks()


@pytest.fixture
async def limiter(redis, moved):
    """A limiter of one process; its limit has risen to the rate that is set."""
    await redis.hset(KEY, "proved", int(PLENTY.rate))
    limiter = RateLimiter(Limits(redis), SharedLimit(KEY, PLENTY), job_id="job", clocks=moved)
    yield limiter
    await limiter.aclose()


async def leases(redis):
    """How often slots were leased from the server so far, by anybody."""
    return int((await redis.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0))


async def take(limiter, number):
    """Take so many slots, one after the other."""
    for _ in range(number):
        await limiter.acquire(write=True)


async def test_requests_one_after_the_other_share_round_trips(limiter, redis):
    """A round trip for each would cost as much as half a request."""
    before = await leases(redis)

    await take(limiter, 500)

    assert await leases(redis) - before < 50
    assert int(await redis.hget(KEY, "used")) <= 500 + MOST, "each slot counts as used, and few are left over"


async def test_no_slot_is_spent_after_the_horizon(limiter, redis, moved):
    """A lower rate, a pause or another worker's 429 holds from then on."""
    await take(limiter, 100)
    before = await leases(redis)
    await take(limiter, 1)
    assert await leases(redis) == before, "some are left"

    moved.at_s += HORIZON_S + 0.01
    await take(limiter, 1)

    assert await leases(redis) == before + 1


async def test_no_slot_is_spent_after_a_429(limiter):
    """It was leased before, and would be refused as well."""
    await take(limiter, 100)
    paused = time.monotonic()

    await limiter.pause(0.5)
    await asyncio.wait_for(take(limiter, 1), 30)

    assert time.monotonic() - paused >= 0.4


def test_no_more_are_leased_than_were_just_asked_for_or_go_by_in_a_moment(moved):
    """So that slots are not lost to who does not use them."""
    spare = SpareSlots(moved, life_s=HORIZON_S)
    assert spare.wanted(100_000.0) == 0
    taken = [spare.take() for _ in range(7)]

    assert not any(taken)
    assert spare.wanted(100_000.0) == 7
    assert spare.wanted(100_000.0) == 0
    for rate, most in ((100_000.0, MOST), (1000.0, 10), (99.0, 0)):
        for _ in range(200):
            spare.take()
        assert spare.wanted(rate) == most
