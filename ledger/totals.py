"""The lasting totals: what ended jobs counted, kept so that counters rise although jobs expire."""

from __future__ import annotations

from redis.asyncio import Redis

from ledger.keys import ACTIVE, TOTALS, JobKeys
from ledger.scripts import load_script


class Totals:
    """The totals of one ledger; only the step that takes a job off the active ones adds to them."""

    def __init__(self, redis: Redis) -> None:
        self._leave = load_script(redis, "leave")

    async def take_over(self, job_id: str) -> None:
        """Take the job off the active ones and keep what it counted, once however often this is said."""
        keys = JobKeys(job_id)
        await self._leave([ACTIVE, TOTALS, keys.job, keys.counts], [job_id])
