"""Notifications that were not delivered yet; nothing in here is lost with the worker that delivers it."""

from __future__ import annotations

from typing import Any

import msgspec
from redis.asyncio import Redis

from ledger.keys import NOTICES, NOTIFIER_LOCK, OUTBOX
from ledger.lock import Lock

LOCK_S = 8.0
"""Time until another worker goes on for one that died."""
KEEP_S = 7 * 86_400.0
"""Life of an outbox that nobody looks into."""


class Notice(msgspec.Struct, frozen=True):
    """A notification. `body` is what is sent, the same at every try; `posted_at` is seconds since the epoch."""

    delivery_id: str
    job_id: str
    body: bytes
    posted_at: float
    tries: int = 0


_notice = msgspec.msgpack.Decoder(Notice).decode
_encode = msgspec.msgpack.Encoder().encode


class Outbox:
    """The outbox of one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def post(self, notice: Notice) -> None:
        """Put a notification in, to be delivered at once; one that is there already stays as it is."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.execute_command("HSETNX", NOTICES, notice.delivery_id, _encode(notice))
            pipe.zadd(OUTBOX, {notice.delivery_id: notice.posted_at}, nx=True)
            for key in (NOTICES, OUTBOX):
                pipe.pexpire(key, int(KEEP_S * 1000))
            await pipe.execute()

    async def waiting(self) -> int:
        """Give the number of notifications that were not delivered yet."""
        return int(await self._redis.zcard(OUTBOX))

    async def due(self, now: float, *, most: int) -> list[Notice]:
        """Give those whose next try is due, the longest waiting first."""
        names: list[Any] = await self._redis.zrangebyscore(OUTBOX, "-inf", now, start=0, num=most)
        if not names:
            return []
        packed: list[Any] = await self._redis.hmget(NOTICES, names)
        return [_notice(raw) for raw in packed if raw is not None]

    async def later(self, notice: Notice, at: float) -> None:
        """Let the next try be at a moment."""
        tried = msgspec.structs.replace(notice, tries=notice.tries + 1)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.execute_command("HSET", NOTICES, notice.delivery_id, _encode(tried))
            pipe.zadd(OUTBOX, {notice.delivery_id: at}, xx=True)
            await pipe.execute()

    async def remove(self, notice: Notice) -> None:
        """Take a notification out: it was delivered, or is given up."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zrem(OUTBOX, notice.delivery_id)
            pipe.hdel(NOTICES, notice.delivery_id)
            await pipe.execute()

    def lock(self) -> Lock:
        """Give the lock of the worker that delivers."""
        return Lock(self._redis, NOTIFIER_LOCK, life_s=LOCK_S)
