"""The logged state of a job or a limit: of all workers that see a change, one logs it."""

from __future__ import annotations

from redis.asyncio import Redis

from ledger.keys import JobKeys
from ledger.scripts import load_script


class LogStates:
    """Decides which worker logs a change."""

    def __init__(self, redis: Redis) -> None:
        self._log_once = load_script(redis, "log_once")

    async def of_job(self, job_id: str, state: str) -> str | None:
        """Return the state that was logged last, where the caller has to log this one; else None."""
        return await self.of(JobKeys(job_id).job, state)

    async def of(self, key: str, state: str) -> str | None:
        """Return what was logged last for this key, where the caller has to log its new state; else None."""
        before = await self._log_once([key], [state])
        return None if before is None else before.decode()
