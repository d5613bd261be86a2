"""The audit log of a job: who changed what, when and why."""

from __future__ import annotations

import msgspec
from redis.asyncio import Redis

from config.text import REASON_CHARS, sanitize
from ledger.clock import server_time
from ledger.keys import JobKeys
from ledger.scripts import load_script

WHO_CHARS = 128
"""Most that is kept of user@host."""


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
        self._note = load_script(redis, "note")

    async def note(self, job_id: str, *, who: str, verb: str, why: str = "") -> None:
        """Append a line; without effect where the job is gone."""
        at = await server_time(self._redis)
        line = AuditLine(at, sanitize(who, WHO_CHARS), verb, sanitize(why, REASON_CHARS))
        keys = JobKeys(job_id)
        await self._note([keys.job, keys.audit], [msgspec.json.encode(line)])

    async def read(self, job_id: str) -> list[AuditLine]:
        """Give the lines, oldest first."""
        lines = await self._redis.lrange(JobKeys(job_id).audit, 0, -1)
        return [msgspec.json.decode(line, type=AuditLine) for line in lines]
