"""One worker at a time, whatever gets lost on the way to Redis."""

from __future__ import annotations

from ledger.connect import open_ledger
from ledger.lock import Lock

KEY, LIFE_S = "relabel:nights:lock", 30.0


async def test_the_same_owner_may_take_and_release_it_again(redis):
    """The first answer may have been lost."""
    ours, theirs = (Lock(redis, KEY, life_s=LIFE_S) for _ in range(2))

    assert [await ours.take(), await ours.take(), await theirs.take()] == [True, True, False]
    await theirs.release()
    assert await ours.is_held()
    await ours.release()
    await ours.release()
    assert await theirs.take()


async def test_an_owner_keeps_it_at_the_memory_limit(private_redis):
    """It would expire under a worker that is at work, and another would begin."""
    async with open_ledger(private_redis.ledger_url) as redis:
        lock = Lock(redis, KEY, life_s=LIFE_S)
        await lock.take()
        await redis.pexpire(KEY, 5000)
        await redis.config_set("maxmemory", 1)

        assert await lock.take()

        assert await redis.pttl(KEY) > 5000
