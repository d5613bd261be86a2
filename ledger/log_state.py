"""What the log was told last of a job or a limit: many workers look, one tells."""

from __future__ import annotations

from redis.asyncio import Redis

from ledger.keys import JobKeys
from ledger.scripts import load_script


class News:
    """Decides who tells a change."""

    def __init__(self, redis: Redis) -> None:
        self._news = load_script(redis, "log_once")

    async def of_job(self, job_id: str, state: str) -> str | None:
        """Give the state that was told last, where this one is for the caller to tell; else None."""
        return await self.of(JobKeys(job_id).job, state)

    async def of(self, key: str, standing: str) -> str | None:
        """Give what was told last of what this key holds, where its standing is for the caller to tell; else None."""
        told = await self._news([key], [standing])
        return None if told is None else told.decode()
