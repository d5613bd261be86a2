"""Records what Redis lost and somebody remembers, and lists it for a day."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from ledger.audit import audit_entry
from ledger.job import Job
from ledger.keys import ACTIVE, ENDED, HELD_NIGHTS, JOBS, LOST, NIGHTS, OPEN_NIGHTS, TOTALS, JobKeys, night_key
from ledger.scripts import load_script
from ledger.tombstone import tombstone_of
from ledger.totals import ENDED_KEEP_S

NIGHT_KEEP_S = 90 * 86_400.0
"""Life of a lost nightly run, in seconds; that of any other (`nightly.store`)."""
LISTED_S = ENDED_KEEP_S
"""Seconds for which a loss counts as recent: that long its notification is tried, too."""
MOST_LISTED = 1000
"""Most losses that are listed; a process remembers no more jobs than that."""
NIGHT_LOST = "lost"
"""The state of a nightly run that is lost (`nightly.state`)."""


class Loss(NamedTuple):
    """A job or a nightly run that was lost (`kind` is `job` or `night`), and when that was found."""

    kind: str
    name: str
    since: float


class Losses:
    """What one ledger lost."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._lose_job = load_script(redis, "lose_job")
        self._lose_night = load_script(redis, "lose_night")

    async def record_job(self, job: Job, *, since: float, seen_by: str) -> bool:
        """Write a tombstone for a job that is not there any more; return whether this was the first."""
        job_id = job.spec.job_id
        keys = JobKeys(job_id)
        tombstone = msgspec.json.encode(tombstone_of(job, since=since, seen_by=seen_by))
        entry = audit_entry(seen_by, "lost", f"it was {job.state}")
        life_ms = int(job.spec.keep_s * 1000)
        return bool(
            await self._lose_job(
                [keys.job, keys.tombstone, LOST, ACTIVE, JOBS, ENDED, TOTALS, keys.audit],
                [job_id, tombstone, job.submitted_at, since, life_ms, int(LISTED_S), MOST_LISTED, entry],
            )
        )

    async def record_night(self, date: str, night: bytes, *, since: float, seen_by: str) -> bool:
        """Store a nightly run that is not there any more as lost; return whether this was the first.

        `night` is the run as it was stored. One that cannot be read is left out.
        """
        try:
            facts: dict[str, Any] = msgspec.json.decode(night, type=dict)
            began = float(facts["started_at"])
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
            return False
        reason = f"Redis lost the run; its state was '{facts.get('state', 'open')}' (found by {seen_by})"
        shown = facts | {"state": NIGHT_LOST, "ended_at": since, "reason": reason}
        return bool(
            await self._lose_night(
                [night_key(date), NIGHTS, LOST],
                [date, msgspec.json.encode(shown), began, since, int(NIGHT_KEEP_S * 1000), int(LISTED_S)],
            )
        )

    async def open_nights(self) -> list[str]:
        """Return the dates of the nightly runs that have not ended or have a file held, the oldest first."""
        dates: set[Any] = await self._redis.sunion([OPEN_NIGHTS, HELD_NIGHTS])
        return sorted(raw.decode() for raw in dates)

    async def recent(self) -> list[Loss]:
        """Return what was lost within the last day, the latest first."""
        members: list[Any] = await self._redis.zrevrange(LOST, 0, MOST_LISTED - 1, withscores=True)
        seconds, _ = await self._redis.time()
        parts = [(*member.decode().partition(":"), since) for member, since in members]
        return [Loss(kind, name, since) for kind, _, name, since in parts if since > seconds - LISTED_S]
