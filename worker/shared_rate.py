"""The shared rate as people see and set it, live."""

from __future__ import annotations

from redis.asyncio import Redis

from worker.rate_limiter import Limit, Limits, Standing

USED_OVER_S = 5.0
"""Seconds that `Standing.used` is about (`lua/acquire.lua`, WINDOW)."""
LIVE_KEEP_S = 366 * 86_400
"""Life of a rate that was set live and that nobody uses: long enough to count as kept."""
_LEARNED = ("ceiling", "share", "risen", "told", "told_until")
"""What self-correction keeps; whoever sets the rate wants it tried."""


class SharedRate:
    """The limit of one endpoint and key, with what the settings say of it."""

    def __init__(self, redis: Redis, *, key: str, limit: Limit) -> None:
        self._redis = redis
        self._key = key
        self._limit = limit
        self._limits = Limits(redis)

    async def look(self) -> tuple[Standing, float | None, int | None]:
        """Give the rate as it stands, and the rate and burst that were set live; no slot is used."""
        standing = (await self._limits.acquire(0, (self._key, self._limit))).standing
        rate, burst = await self._redis.hmget(self._key, ["rate", "burst"])
        return standing, None if rate is None else float(rate), None if burst is None else int(burst)

    async def set(self, rate: float | None, burst: int | None) -> None:
        """Set the rate, the burst, or both for all workers, in effect within a second and until `reset`.

        A rate without a burst brings its own, as in the settings.
        """
        fields: dict[str, float] = {}
        if rate is not None:
            fields |= Limit.per_minute(rate * 60)._asdict()
        if burst is not None:
            fields["burst"] = burst
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._key, mapping={name: str(value) for name, value in fields.items()})
            pipe.hdel(self._key, *_LEARNED)
            pipe.expire(self._key, LIVE_KEEP_S)
            await pipe.execute()

    async def reset(self) -> None:
        """Go back to the settings, and forget what self-correction learned."""
        await self._redis.hdel(self._key, "rate", "burst", *_LEARNED)
