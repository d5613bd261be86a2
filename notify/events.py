"""Finds the jobs that ended, paused by themselves or are held for somebody, and were not notified yet."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from ledger.errors import NoSuchJob
from ledger.job import Job, JobState
from ledger.job_states import Jobs
from ledger.keys import ENDED, NOTIFY_SINCE, JobKeys, night_key
from ledger.losses import NIGHT_LOST
from ledger.totals import ENDED_KEEP_S

BY_PEOPLE = frozenset({"paused", "interrupted"})
"""Reason codes of pauses that a person asked for: `relabel pause`, or Ctrl-C at `relabel run`."""


_OPEN_END = "needs attention"
"""The state of a nightly run that ends once more (`nightly.state`)."""


class _Night(msgspec.Struct, frozen=True):
    """What matters here of a nightly run as `nightly.store` keeps it."""

    state: str
    ended_at: float | None = None


_night = msgspec.json.Decoder(_Night).decode


class JobEvent(NamedTuple):
    """A job that ended, paused or is held. `event_id` is the same each time it is found; another pause has another."""

    job: Job
    event_id: str


class JobEvents:
    """The ends, pauses and holds of one ledger's jobs."""

    def __init__(self, redis: Redis, jobs: Jobs) -> None:
        self._redis = redis
        self._jobs = jobs

    async def pending(self) -> list[JobEvent]:
        """Return the events that were not acknowledged; none from before notifications were switched on."""
        since = await self._since()
        found = [await self._event(job_id, since) for job_id in (*await self._ended(), *await self._jobs.active())]
        return [event for event in found if event is not None]

    async def acknowledge(self, event: JobEvent) -> None:
        """Record that the event's notification is in the outbox."""
        job_id = event.job.spec.job_id
        is_there = await self._redis.exists(JobKeys(job_id).job)
        async with self._redis.pipeline(transaction=True) as pipe:
            if is_there:  # a lost job may have a tombstone alone
                pipe.hset(JobKeys(job_id).job, "told", event.event_id)
                pipe.pexpire(JobKeys(job_id).job, int(event.job.spec.keep_s * 1000), nx=True)
            if event.job.state.ended:
                pipe.zrem(ENDED, job_id)
            await pipe.execute()

    async def _ended(self) -> list[str]:
        members: list[Any] = await self._redis.zrange(ENDED, 0, -1)
        return [member.decode() for member in members]

    async def _event(self, job_id: str, since: float) -> JobEvent | None:
        try:
            job = await self._jobs.get(job_id)
        except NoSuchJob:
            await self._redis.zrem(ENDED, job_id)
            return None
        fields: list[Any] = await self._redis.hmget(JobKeys(job_id).job, ["told", "paused_at"])
        acknowledged, paused_at = (value.decode() if value else "" for value in fields)
        at = _moment(job, paused_at)
        if at is None:
            return None
        event_id = f"{job.state} {at}"
        is_news = acknowledged != event_id and (float(at) >= since or job.state is JobState.LOST)
        if is_news and not await self._is_in_digest(job):
            return JobEvent(job, event_id)
        if job.state.ended:
            await self._redis.zrem(ENDED, job_id)
        return None

    async def _is_in_digest(self, job: Job) -> bool:
        """Return whether the notification of the nightly run that made the job reports its end."""
        if not job.spec.nightly or job.state not in {JobState.FINISHED, JobState.CANCELLED}:
            return False
        packed: Any = await self._redis.hget(night_key(job.spec.nightly), "night")
        try:
            night = _night(packed or b"")
        except msgspec.MsgspecError:  # it is gone, or somebody else wrote it
            return False
        if night.state == NIGHT_LOST:
            return False
        return night.ended_at is None or night.state == _OPEN_END or (job.finished_at or 0.0) <= night.ended_at

    async def _since(self) -> float:
        """Return when notifications were switched on, in epoch seconds; forgotten after a day without a notifier."""
        seconds, _ = await self._redis.time()
        life = int(ENDED_KEEP_S * 1000)
        await self._redis.set(NOTIFY_SINCE, str(seconds), nx=True, px=life)
        await self._redis.pexpire(NOTIFY_SINCE, life)
        since: Any = await self._redis.get(NOTIFY_SINCE)
        return float(since or seconds)


def _moment(job: Job, paused_at: str) -> str | None:
    """Return when the job reached a state that is notified, None where it is in no such state."""
    if job.state is JobState.PAUSED and job.reason_code not in BY_PEOPLE:
        return paused_at or None
    if job.waits_for_confirmation or job.waits_for_approval:
        return None if job.held_at is None else str(job.held_at)
    if job.state is JobState.LOST:
        return str(job.submitted_at)
    if not job.state.ended or job.counts.pending:
        return None
    return None if job.finished_at is None else str(job.finished_at)
