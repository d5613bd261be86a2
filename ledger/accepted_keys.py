"""Which workers' keys an endpoint accepted lately, for a worker whose own is refused."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from ledger.keys import accepted_keys_key

KEEP_S = 600
"""Life of the record of an endpoint that nobody calls."""


class AcceptedKeys:
    """The workers by the time of their last accepted request, an endpoint each; no key and no part of one."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def note(self, endpoint: str, worker: str) -> None:
        """Record that the endpoint accepted this worker's key just now."""
        seconds, _ = await self._redis.time()
        key = accepted_keys_key(endpoint)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zadd(key, {worker: seconds})
            pipe.zremrangebyscore(key, "-inf", seconds - KEEP_S)
            pipe.expire(key, KEEP_S)
            await pipe.execute()

    async def forget(self, endpoint: str, worker: str) -> None:
        """Remove the record of a worker whose key the endpoint refuses by now."""
        await self._redis.zrem(accepted_keys_key(endpoint), worker)

    async def last(self, endpoint: str) -> tuple[str, float] | None:
        """Return the worker whose key the endpoint accepted last and how many seconds ago; None where none is known."""
        seconds, _ = await self._redis.time()
        newest: list[Any] = await self._redis.zrevrange(accepted_keys_key(endpoint), 0, 0, withscores=True)
        return (newest[0][0].decode(), max(0.0, seconds - newest[0][1])) if newest else None

    async def elsewhere(self, endpoint: str, worker: str, *, within_s: float) -> bool:
        """Return whether the endpoint accepted another worker's key within so many seconds."""
        seconds, _ = await self._redis.time()
        names = await self._redis.zrangebyscore(accepted_keys_key(endpoint), seconds - within_s, "+inf")
        return any(name.decode() != worker for name in names if isinstance(name, bytes))
