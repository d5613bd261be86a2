"""Creates jobs, finds them, and moves them from state to state."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any, TypedDict

import msgspec
from redis.asyncio import Redis

from config.text import CODE_CHARS, REASON_CHARS, sanitize
from ledger.audit import WHO_CHARS, audit_entry, made_entry
from ledger.clock import server_time
from ledger.codec import pack_rejections, pack_shard, pack_unsent
from ledger.errors import JobIdTaken, NoSuchJob
from ledger.failures import note_known, watch_first_failures
from ledger.job import CANCELLED_CODE, NEEDS_CONFIRMATION_CODE, Canary, Job, JobState
from ledger.job_reader import job_of, job_reads
from ledger.job_spec import JobSpec
from ledger.keys import ACTIVE, JOBS, JobKeys, fingerprint_key
from ledger.row import Rejection, UnsentRow
from ledger.scripts import load_script
from ledger.snapshot import read_together
from ledger.totals import Totals

SUBMITTED_KEEP_S = 180 * 86_400.0
"""Longest life of a job that never ends: a bound, so that nothing stays for ever."""
STORING_KEEP_S = 86_400.0
"""Life of a job while it is stored: what a dead producer left is never finished, and holds customer data."""
TRIMMED = 10
"""Members of the list of jobs that each new job looks at; those that are gone stay below about a tenth of the list."""
_NO_END = -1  # what PTTL says of a key that does not expire


class Jobs:
    """The jobs in one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._create = load_script(redis, "create")
        self._move = load_script(redis, "move")
        self._resume = load_script(redis, "resume")
        self._set_rate = load_script(redis, "set_job_rate")
        self._totals = Totals(redis)

    async def create(self, spec: JobSpec, *, rate_per_minute: float | None = None) -> None:
        """Write the job as `submitting`: workers do not see it yet.

        Raises:
            JobIdTaken: there is a job of that id; it is left as it is.

        """
        keys = JobKeys(spec.job_id)
        first = (keys.job, keys.counts, keys.outcomes, keys.times)
        others = [key for key in (*keys.lasting, *keys.passing) if key not in first]
        made = await self._create(
            [JOBS, *first, *others],
            [
                spec.job_id,
                secrets.token_hex(8),
                msgspec.json.encode(spec),
                spec.priority,
                "" if rate_per_minute is None else rate_per_minute,
                spec.rows,
                spec.rejected,
                spec.folded,
                spec.unchanged,
                int(STORING_KEEP_S * 1000),
            ],
        )
        if not made:
            raise JobIdTaken(spec.job_id)
        await self._trim()

    async def store_shards(self, job_id: str, first: int, bodies: list[bytes]) -> None:
        """Store consecutive shards, each a msgpack array of patches."""
        keys = JobKeys(job_id)
        numbers = range(first, first + len(bodies))
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(keys.shards, mapping={str(n): pack_shard(b) for n, b in zip(numbers, bodies, strict=True)})
            pipe.zadd(keys.waiting, {str(n): n for n in numbers})
            for key in (keys.shards, keys.waiting):
                pipe.pexpire(key, int(STORING_KEEP_S * 1000))
            await pipe.execute()

    async def store_rejections(self, job_id: str, group: list[Rejection]) -> None:
        """Store a group of rejected rows."""
        await self._append(JobKeys(job_id).rejected, pack_rejections(group))

    async def store_unsent(self, job_id: str, group: list[UnsentRow]) -> None:
        """Store a group of valid rows for which nothing is sent."""
        await self._append(JobKeys(job_id).unsent, pack_unsent(group))

    async def open(
        self, job_id: str, *, by: str = "", remark: str = "", hold: bool = False, questions: str = ""
    ) -> None:
        """Let workers see a job whose shards are all stored; one without any rows to send is finished at once.

        One with `questions` is held until somebody confirms them. Its audit log, and that of the job it was made of,
        name who submitted it (`by`), with a remark.
        """
        spec = await self._spec(job_id)
        await watch_first_failures(self._redis, spec)
        if spec.canary:
            shares: dict[Any, Any] = {
                "canary": Canary.RUNNING,
                "canary_rows": spec.canary,
                "canary_shards": spec.canary_shards,
            }
            await self._redis.hset(JobKeys(job_id).job, mapping=shares)
        state = JobState.FINISHED if spec.rows == 0 else JobState.HELD if hold or questions else JobState.RUNNING
        code, reason = (NEEDS_CONFIRMATION_CODE, questions) if questions and state is JobState.HELD else ("", "")
        await self._expire(job_id, spec.keep_s if state.ended else SUBMITTED_KEEP_S)
        await self._redis.sadd(ACTIVE, job_id)
        entries = _entries(spec, by, remark)
        await self.move(job_id, state, come_from=(JobState.SUBMITTING,), code=code, reason=reason, **entries)
        if state.ended:
            await self._totals.take_over(job_id)

    async def pause(self, job_id: str, *, by: str, code: str, reason: str, why: str | None = None) -> JobState:
        """Pause a running job; return the state that the job had.

        Workers start no row after a second or two, and rows in flight end. `why` is for the audit log, the reason where
        it is left out.

        Raises:
            NoSuchJob: there is no such job.

        """
        entry = audit_entry(by, "pause", reason if why is None else why)
        return await self.move(
            job_id, JobState.PAUSED, come_from=(JobState.RUNNING,), code=code, reason=reason, entry=entry
        )

    async def resume(self, job_id: str, *, by: str) -> JobState:
        """Let workers run a paused or held job, one without a row left is finished; return the state that it had.

        Raises:
            NoSuchJob: there is no such job.

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
            come_from=(JobState.RUNNING, JobState.PAUSED, JobState.HELD),
            code=CANCELLED_CODE,
            reason=f"{reason} ({by})" if reason else f"by {by}",
            entry=audit_entry(by, "cancel", reason),
        )

    async def move(
        self,
        job_id: str,
        state: JobState,
        *,
        come_from: Iterable[JobState],
        code: str = "",
        reason: str = "",
        entry: bytes = b"",
        parent: tuple[str, bytes] | None = None,
    ) -> JobState:
        """Move the job to a state if it is in one of others; return the state that it had.

        `entry` goes to its audit log; `parent` is another job with the entry for the log of that one.

        Raises:
            NoSuchJob: there is no such job.

        """
        text = (sanitize(code, CODE_CHARS), sanitize(reason, REASON_CHARS))
        other, other_entry = parent or (job_id, b"")
        touched = [key for keys in (JobKeys(job_id), JobKeys(other)) for key in (keys.job, keys.audit)]
        touched.append(JobKeys(job_id).counts)
        had = (await self._move(touched, [state, *text, entry, other_entry, *come_from])).decode()
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
        spec = await self._spec(job_id)
        await self._expire(job_id, spec.keep_s, spec)
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

    async def latest(self, number: int) -> list[Job]:
        """Return the latest jobs, newest first; those whose keys have expired are forgotten on the way."""
        jobs = []
        for job_id in _texts(await self._redis.zrevrange(JOBS, 0, number - 1)):
            try:
                jobs.append(await self.get(job_id))
            except NoSuchJob:
                await self.forget(job_id)
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

    async def _spec(self, job_id: str) -> JobSpec:
        raw = await self._redis.hget(JobKeys(job_id).job, "spec")
        if raw is None:
            raise NoSuchJob(job_id)
        return msgspec.json.decode(raw, type=JobSpec)

    async def _append(self, key: str, packed: bytes) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.rpush(key, packed)
            pipe.pexpire(key, int(STORING_KEEP_S * 1000))
            await pipe.execute()

    async def _expire(self, job_id: str, seconds: float, ended: JobSpec | None = None) -> None:
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

    async def _trim(self) -> None:
        """Remove a few expired jobs from the list, so that a list that nobody reads stays bounded, too."""
        drawn: Any = await self._redis.zrandmember(JOBS, TRIMMED)
        count_of = _texts(drawn)
        async with self._redis.pipeline(transaction=False) as pipe:
            for job_id in count_of:
                pipe.exists(JobKeys(job_id).job, JobKeys(job_id).tombstone)
            there = await pipe.execute()
        for job_id in (job_id for job_id, is_there in zip(count_of, there, strict=True) if not is_there):
            await self.forget(job_id)


class _Entries(TypedDict):
    entry: bytes
    parent: tuple[str, bytes] | None


def _entries(spec: JobSpec, by: str, remark: str) -> _Entries:
    """Return the audit entries of a submission: the job's own, and that of the job whose rows it is made of."""
    rest = f", {remark}" if remark else ""
    if not by:
        return {"entry": b"", "parent": None}
    if not spec.parent:
        return {"entry": audit_entry(by, "submit", spec.name + rest), "parent": None}
    made = made_entry(by, spec.kind, spec.job_id, remark)
    return {"entry": audit_entry(by, spec.kind, f"of job {spec.parent}{rest}"), "parent": (spec.parent, made)}


def _texts(raw: Iterable[Any]) -> list[str]:
    return [value.decode() for value in raw]
