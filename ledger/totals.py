"""The lasting totals: what ended jobs counted, kept so that counters rise although jobs expire."""

from __future__ import annotations

from redis.asyncio import Redis

from ledger.archive_queue import QUEUE_KEEP_S
from ledger.keys import ACTIVE, ARCHIVE_DUE, ARCHIVES, ENDED, TOTALS, JobKeys
from ledger.scripts import load_script

ENDED_KEEP_S = 86_400.0
"""Time that an end waits for its notification (`notify.events`)."""


class Totals:
    """The totals of one ledger; only the step that takes a job off the active ones adds to them."""

    def __init__(self, redis: Redis) -> None:
        self._leave = load_script(redis, "leave")

    async def take_over(self, job_id: str) -> None:
        """Remove the job from the active ones, add its counts, and record its end: once, however often it is called."""
        keys = JobKeys(job_id)
        touched = [ACTIVE, TOTALS, keys.job, keys.counts, ENDED, keys.audit, ARCHIVES, ARCHIVE_DUE]
        await self._leave(touched, [job_id, int(ENDED_KEEP_S), QUEUE_KEEP_S])
