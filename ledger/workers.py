"""The living workers, as their heartbeats show them."""

from __future__ import annotations

import math
from typing import NamedTuple

from redis.asyncio import Redis

from ledger.keys import REFUSED_WORKERS, WORKERS

HEARTBEAT_KEEP_S = 15.0
"""Age at which a silent worker no longer counts."""
WORKERS_KEEP_S = 60
"""Life of the list of workers once none of them is left; it only has to be longer than `HEARTBEAT_KEEP_S`."""


class LivingWorker(NamedTuple):
    """A worker that beats: its name, as Celery has it, its children, and whether it takes no shards for its key."""

    name: str
    children: int
    key_refused: bool


class Workers:
    """The heartbeats of the workers of one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def beat(self, worker: str, children: int, *, key_refused: bool = False) -> None:
        """Record that the worker is alive, how many children it has, and whether it takes no shards for its key."""
        seconds, _ = await self._redis.time()
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zadd(WORKERS, {f"{worker}|{children}": seconds})
            pipe.zremrangebyscore(WORKERS, "-inf", seconds - HEARTBEAT_KEEP_S)
            pipe.expire(WORKERS, WORKERS_KEEP_S)
            if key_refused:
                pipe.zadd(REFUSED_WORKERS, {worker: seconds})
                pipe.expire(REFUSED_WORKERS, math.ceil(HEARTBEAT_KEEP_S))
            else:
                pipe.zrem(REFUSED_WORKERS, worker)
            pipe.zremrangebyscore(REFUSED_WORKERS, "-inf", seconds - HEARTBEAT_KEEP_S)
            await pipe.execute()

    async def children(self) -> list[int]:
        """Return the number of children of each living worker that takes shards."""
        return [worker.children for worker in await self.living() if not worker.key_refused]

    async def living(self) -> list[LivingWorker]:
        """Return the living workers."""
        seconds, _ = await self._redis.time()
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in (WORKERS, REFUSED_WORKERS):
                pipe.zrangebyscore(key, seconds - HEARTBEAT_KEEP_S, "+inf")
            alive, refused = await pipe.execute()
        parts = [member.decode().rpartition("|") for member in alive]
        return [LivingWorker(name, int(children), name.encode() in refused) for name, _, children in parts]
