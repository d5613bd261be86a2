"""The audit log of a job: who changed what, when and why."""

from __future__ import annotations

import msgspec
from redis.asyncio import Redis

from ledger.clock import server_time
from ledger.keys import JobKeys


class AuditLine(msgspec.Struct, frozen=True):
    """One change. `who` is user@host, `at` seconds since the epoch by the server's clock."""

    at: float
    who: str
    verb: str
    why: str


class Audit:
    """The audit logs in one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def note(self, job_id: str, *, who: str, verb: str, why: str = "") -> None:
        """Write a line down."""
        line = AuditLine(await server_time(self._redis), who, verb, why)
        await self._redis.rpush(JobKeys(job_id).audit, msgspec.json.encode(line))

    async def read(self, job_id: str) -> list[AuditLine]:
        """Give the lines, oldest first."""
        lines = await self._redis.lrange(JobKeys(job_id).audit, 0, -1)
        return [msgspec.json.decode(line, type=AuditLine) for line in lines]
