"""The ended jobs whose report is still to be archived, and the folders that workers archive reports in."""

from __future__ import annotations

from typing import Any

import msgspec
from redis.asyncio import Redis

from ledger.clock import server_time
from ledger.keys import ARCHIVE_DUE, ARCHIVE_LOCK, ARCHIVES
from ledger.lock import Lock

QUEUE_KEEP_S = 7 * 86_400
"""Time that an ended job waits for a worker that can archive it, and that a folder is known which no worker uses."""
LOCK_LIFE_S = 30.0
FAULT_COUNTS_S = 150.0
"""Age at which the word of a worker about its folder says nothing any more; it is renewed each minute."""


class ArchiveFolder(msgspec.Struct, frozen=True):
    """A folder of a worker's machine, when it was used last (seconds since the epoch), and what is wrong with it."""

    worker: str
    folder: str
    at: float
    fault: str = ""


class ArchiveQueue:
    """The queue of one ledger. Jobs are put in where they end (`lua/leave.lua`), once a worker archives reports."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def announce(self, worker: str, folder: str, *, fault: str = "") -> None:
        """Record that a worker archives reports in a folder of its machine, or why it cannot."""
        known = ArchiveFolder(worker, folder, await server_time(self._redis), fault)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(ARCHIVES, worker, msgspec.json.encode(known))
            pipe.expire(ARCHIVES, QUEUE_KEEP_S)
            await pipe.execute()

    async def folders(self) -> list[ArchiveFolder]:
        """Return the folders that workers archived reports in lately."""
        known: dict[Any, Any] = await self._redis.hgetall(ARCHIVES)
        oldest = await server_time(self._redis) - QUEUE_KEEP_S
        folders = [msgspec.json.decode(raw, type=ArchiveFolder) for _, raw in sorted(known.items())]
        return [folder for folder in folders if folder.at > oldest]

    async def faults(self) -> list[ArchiveFolder]:
        """Return the folders that a living worker cannot use."""
        oldest = await server_time(self._redis) - FAULT_COUNTS_S
        return [folder for folder in await self.folders() if folder.fault and folder.at > oldest]

    async def first(self) -> str | None:
        """Return the id of the job that waits longest; None where none does."""
        waiting: list[Any] = await self._redis.zrange(ARCHIVE_DUE, 0, 0)
        return waiting[0].decode() if waiting else None

    async def remove(self, job_id: str) -> None:
        """Take a job off the queue, as its report is archived or can never be."""
        await self._redis.zrem(ARCHIVE_DUE, job_id)

    def lock(self) -> Lock:
        """Return the lock of the worker that archives just now."""
        return Lock(self._redis, ARCHIVE_LOCK, life_s=LOCK_LIFE_S)
