"""Finds the jobs that ended, or paused by themselves, and that nobody was told of yet."""

from __future__ import annotations

from typing import Any, NamedTuple

from redis.asyncio import Redis

from ledger.errors import NoSuchJob
from ledger.job import Job, JobState
from ledger.job_store import Jobs
from ledger.keys import ENDED, NOTIFY_SINCE, JobKeys
from ledger.totals import ENDED_KEEP_S

BY_PEOPLE = frozenset({"paused", "interrupted"})
"""Reason codes of pauses that somebody asked for: `relabel pause`, or Ctrl-C at `relabel run`."""


class Ending(NamedTuple):
    """A job as it ended or paused. `mark` is the same each time it is found, and another one for another pause."""

    job: Job
    mark: str


class Endings:
    """The ends and pauses in one ledger."""

    def __init__(self, redis: Redis, jobs: Jobs) -> None:
        self._redis = redis
        self._jobs = jobs

    async def pending_events(self) -> list[Ending]:
        """Give the ends and pauses that nobody was told of; of those from before anybody was to be told, none."""
        since = await self._since()
        found = [await self._ending(job_id, since) for job_id in (*await self._ended(), *await self._jobs.active())]
        return [ending for ending in found if ending is not None]

    async def told(self, ending: Ending) -> None:
        """Remember that the notification is on its way."""
        job_id = ending.job.spec.job_id
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(JobKeys(job_id).job, "told", ending.mark)
            pipe.pexpire(JobKeys(job_id).job, int(ending.job.spec.keep_s * 1000), nx=True)
            if ending.job.state.ended:
                pipe.zrem(ENDED, job_id)
            await pipe.execute()

    async def _ended(self) -> list[str]:
        members: list[Any] = await self._redis.zrange(ENDED, 0, -1)
        return [member.decode() for member in members]

    async def _ending(self, job_id: str, since: float) -> Ending | None:
        try:
            job = await self._jobs.get(job_id)
        except NoSuchJob:
            await self._redis.zrem(ENDED, job_id)
            return None
        fields: list[Any] = await self._redis.hmget(JobKeys(job_id).job, ["told", "paused_at"])
        told, paused_at = (value.decode() if value else "" for value in fields)
        at = _moment(job, paused_at)
        if at is None:
            return None
        mark = f"{job.state} {at}"
        if told != mark and (float(at) >= since or job.state is JobState.LOST):
            return Ending(job, mark)
        if job.state.ended:
            await self._redis.zrem(ENDED, job_id)
        return None

    async def _since(self) -> float:
        """Give when workers began to tell of ends; forgotten once none has for a day."""
        seconds, _ = await self._redis.time()
        life = int(ENDED_KEEP_S * 1000)
        await self._redis.set(NOTIFY_SINCE, str(seconds), nx=True, px=life)
        await self._redis.pexpire(NOTIFY_SINCE, life)
        since: Any = await self._redis.get(NOTIFY_SINCE)
        return float(since or seconds)


def _moment(job: Job, paused_at: str) -> str | None:
    """Give when the job came to the state that is to be told of, None where it is in no such state."""
    if job.state is JobState.PAUSED and job.reason_code not in BY_PEOPLE:
        return paused_at or None
    if job.state is JobState.LOST:
        return str(job.submitted_at)
    if not job.state.ended or job.counts.pending:
        return None
    return None if job.finished_at is None else str(job.finished_at)
