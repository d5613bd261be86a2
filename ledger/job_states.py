"""Finds jobs, moves them from state to state, and sets how long they are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from redis.asyncio import Redis

from config.text import CODE_CHARS, REASON_CHARS, sanitize
from ledger.approval import NEEDS_APPROVAL_CODE
from ledger.audit import WHO_CHARS, audit_entry
from ledger.clock import server_time
from ledger.errors import NeedsApproval, NoSuchJob
from ledger.failures import note_known
from ledger.job import CANCELLED_CODE, Job, JobState
from ledger.job_reader import JOB_READS, job_of, job_reads
from ledger.job_spec import JobSpec
from ledger.keys import ACTIVE, JOBS, JobKeys, fingerprint_key
from ledger.person import in_parentheses
from ledger.scripts import load_script
from ledger.snapshot import read_together
from ledger.totals import Totals

SUBMITTED_KEEP_S = 180 * 86_400.0
"""Longest life of a job that never ends: a bound, so that nothing stays for ever."""
READING = "reading"
"""As a state that a job comes from: `submitting` while workers have yet to read the list for it."""
READ_TOGETHER = 50
"""Jobs that are read in one round trip: it holds the server up for less than a millisecond."""
TRIMMED = 10
"""Members of the list of jobs that each new job looks at; those that are gone stay below about a tenth of the list."""
_NO_END = -1  # what PTTL says of a key that does not expire


class Jobs:
    """The jobs in one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._move = load_script(redis, "move")
        self._resume = load_script(redis, "resume")
        self._set_rate = load_script(redis, "set_job_rate")
        self._totals = Totals(redis)

    async def pause(
        self, job_id: str, *, by: str, code: str, reason: str, why: str | None = None, running_since: str = ""
    ) -> JobState:
        """Pause a running job, or one for which the list is read; return the state that the job had.

        Workers start no row after a second or two, and rows in flight end. `why` is for the audit log, the reason where
        it is left out. With `running_since` of a leased shard, a job that was resumed since goes on: who resumed it may
        have corrected what the worker met before.

        Raises:
            NoSuchJob: there is no such job.

        """
        entry = audit_entry(by, "pause", reason if why is None else why)
        return await self.move(
            job_id,
            JobState.PAUSED,
            come_from=(JobState.RUNNING, READING),
            code=code,
            reason=reason,
            entry=entry,
            running_since=running_since,
        )

    async def resume(self, job_id: str, *, by: str) -> JobState:
        """Let workers run a paused or held job, one without a row left is finished; return the state that it had.

        One that lacks the approval that it needs stays held.

        Raises:
            NoSuchJob: there is no such job.
            NeedsApproval: it is held for nothing but its approval.

        """
        keys = JobKeys(job_id)
        await note_known(self._redis, job_id)
        touched = [
            keys.job,
            keys.waiting,
            keys.announced,
            keys.leased,
            keys.pace,
            keys.outcomes,
            keys.audit,
            keys.counts,
        ]
        had = (await self._resume(touched, [sanitize(by, WHO_CHARS)])).decode()
        if not had:
            return await self._state_of_lost(job_id)
        if had == NEEDS_APPROVAL_CODE:
            raise NeedsApproval(job_id)
        if had == JobState.PAUSED and (await self.get(job_id)).state.ended:
            await self.retire(job_id)
        return JobState(had)

    async def cancel(self, job_id: str, *, by: str, reason: str = "") -> JobState:
        """Cancel a job that has not ended, whose open rows are then to be closed; return the state that it had.

        Raises:
            NoSuchJob: there is no such job.

        """
        return await self.move(
            job_id,
            JobState.CANCELLED,
            come_from=(JobState.RUNNING, JobState.PAUSED, JobState.HELD, READING),
            code=CANCELLED_CODE,
            reason=f"{reason} ({in_parentheses(by)})" if reason else f"by {by}",
            entry=audit_entry(by, "cancel", reason),
        )

    async def move(
        self,
        job_id: str,
        state: JobState,
        *,
        come_from: Iterable[str],
        code: str = "",
        reason: str = "",
        entry: bytes = b"",
        parent: tuple[str, bytes] | None = None,
        running_since: str = "",
    ) -> JobState:
        """Move the job to a state if it is in one of others; return the state that it had.

        `entry` goes to its audit log; `parent` is another job with the entry for the log of that one. `running_since`
        is as for `pause`.

        Raises:
            NoSuchJob: there is no such job.

        """
        text = (sanitize(code, CODE_CHARS), sanitize(reason, REASON_CHARS))
        other, other_entry = parent or (job_id, b"")
        touched = [key for keys in (JobKeys(job_id), JobKeys(other)) for key in (keys.job, keys.audit)]
        touched.append(JobKeys(job_id).counts)
        had = (await self._move(touched, [state, *text, entry, other_entry, running_since, *come_from])).decode()
        return JobState(had) if had else await self._state_of_lost(job_id)

    async def set_rate(self, job_id: str, per_minute: float | None, *, by: str, why: str) -> Job:
        """Set the job's own rate in requests a minute, in effect at once, or remove it; return the job as it was.

        Raises:
            NoSuchJob: there is no such job.

        """
        job = await self.get(job_id)
        keys, rate = JobKeys(job_id), "" if per_minute is None else per_minute
        if not await self._set_rate([keys.job, keys.audit], [rate, audit_entry(by, "rate", why)]):
            raise NoSuchJob(job_id)
        return job

    async def retire(self, job_id: str) -> None:
        """Let an ended job expire after the days it was to be kept, and forget it among the active ones."""
        spec = await self.spec(job_id)
        await self._redis.unlink(JobKeys(job_id).selected)
        await self.expire(job_id, spec.keep_s, spec)
        await self._totals.take_over(job_id)

    async def bound(self, job_id: str) -> None:
        """Set a life for those keys of the job that came up since it was opened, so that nothing stays for ever."""
        keys = JobKeys(job_id)
        names = (*keys.lasting, *keys.passing)
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in names:
                pipe.pttl(key)
            lives = await pipe.execute()
            for key, life in zip(names, lives, strict=True):
                if life == _NO_END:
                    pipe.pexpire(key, int(SUBMITTED_KEEP_S * 1000))
            await pipe.execute()

    async def discard(self, job_id: str) -> None:
        """Remove a job that workers never saw."""
        keys = JobKeys(job_id)
        await self._redis.unlink(*keys.lasting, *keys.passing, keys.producer)
        await self.forget(job_id)

    async def forget(self, job_id: str) -> None:
        """Remove a job that is gone from the lists, and let what is left of it expire."""
        await self.bound(job_id)
        await self._totals.take_over(job_id)
        await self._redis.zrem(JOBS, job_id)

    async def get(self, job_id: str) -> Job:
        """Return the job as it is now.

        Raises:
            NoSuchJob: there is no such job.

        """
        job = job_of(*await read_together(self._redis, job_reads(job_id)))
        if job is None:
            raise NoSuchJob(job_id)
        return job

    async def read(self, job_ids: Sequence[str]) -> list[Job | None]:
        """Return the jobs as they are now, many in a round trip; None for one that is not there."""
        found = list[Job | None]()
        for first in range(0, len(job_ids), READ_TOGETHER):
            reads = [read for job_id in job_ids[first : first + READ_TOGETHER] for read in job_reads(job_id)]
            answers, now = await read_together(self._redis, reads)
            found += [job_of(of_job, now) for of_job in zip(*[iter(answers)] * JOB_READS, strict=True)]
        return found

    async def latest(self, number: int) -> list[Job]:
        """Return the latest jobs, newest first; those whose keys have expired are forgotten on the way."""
        ids = _texts(await self._redis.zrevrange(JOBS, 0, number - 1))
        jobs = list[Job]()
        for job_id, job in zip(ids, await self.read(ids), strict=True):
            if job is None:
                await self.forget(job_id)
            else:
                jobs.append(job)
        return jobs

    async def listed(self) -> int:
        """Return the number of jobs in the list of jobs, with a few that have expired and were not forgotten yet."""
        return int(await self._redis.zcard(JOBS))

    async def active(self) -> list[str]:
        """Return the ids of the jobs that have not ended."""
        return sorted(_texts(await self._redis.smembers(ACTIVE)))

    async def now(self) -> float:
        """Return the server's time, seconds since the epoch: the one clock that all workers share."""
        return await server_time(self._redis)

    async def _state_of_lost(self, job_id: str) -> JobState:
        """Return the state of a job that is there no more, if it is known as lost; else raise NoSuchJob."""
        return (await self.get(job_id)).state

    async def spec(self, job_id: str) -> JobSpec:
        """Return what the job was asked for.

        Raises:
            NoSuchJob: there is no such job.

        """
        raw = await self._redis.hget(JobKeys(job_id).job, "spec")
        if raw is None:
            raise NoSuchJob(job_id)
        return msgspec.json.decode(raw, type=JobSpec)

    async def expire(self, job_id: str, seconds: float, ended: JobSpec | None = None) -> None:
        """Set the life of the job's keys; of one that has `ended` also of what its shards may have left behind."""
        keys = JobKeys(job_id)
        names = [*keys.lasting, *keys.passing]
        if ended is not None:
            names += [keys.journal(shard) for shard in range(ended.shards)]
            content = fingerprint_key(ended.fingerprint)
            names += [content] if await self._redis.get(content) == job_id.encode() else []
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in names:
                pipe.pexpire(key, int(seconds * 1000))
            await pipe.execute()

    async def trim(self) -> None:
        """Remove a few expired jobs from the list, so that a list that nobody reads stays bounded, too."""
        drawn: Any = await self._redis.zrandmember(JOBS, TRIMMED)
        count_of = _texts(drawn)
        async with self._redis.pipeline(transaction=False) as pipe:
            for job_id in count_of:
                pipe.exists(JobKeys(job_id).job, JobKeys(job_id).tombstone)
            there = await pipe.execute()
        for job_id in (job_id for job_id, is_there in zip(count_of, there, strict=True) if not is_there):
            await self.forget(job_id)


def _texts(raw: Iterable[Any]) -> list[str]:
    return [value.decode() for value in raw]
