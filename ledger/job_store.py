"""Stores new jobs, which workers do not see before they are opened."""

from __future__ import annotations

import secrets
from typing import Any, TypedDict

import msgspec
from redis.asyncio import Redis

from ledger.approval import NEEDS_APPROVAL_CODE, NO_APPROVAL, ApprovalRule, require_approval
from ledger.audit import audit_entry, made_entry
from ledger.codec import pack_rejections, pack_shard, pack_unsent
from ledger.errors import JobIdTaken
from ledger.failures import watch_first_failures
from ledger.job import NEEDS_CONFIRMATION_CODE, Canary, JobState
from ledger.job_spec import JobSpec
from ledger.job_states import SUBMITTED_KEEP_S, Jobs
from ledger.keys import ACTIVE, JOBS, JobKeys
from ledger.row import Rejection, UnsentRow
from ledger.scripts import load_script
from ledger.totals import Totals

STORING_KEEP_S = 86_400.0
"""Life of a job while it is stored: what a dead producer left is never finished, and holds customer data."""


class JobStore:
    """Where new jobs are stored: created, filled with rows, and opened to workers."""

    def __init__(self, redis: Redis, jobs: Jobs) -> None:
        self._redis = redis
        self._jobs = jobs
        self._create = load_script(redis, "create")
        self._totals = Totals(redis)

    async def create(
        self, spec: JobSpec, *, rate_per_minute: float | None = None, selection: bytes = b"", entry: bytes = b""
    ) -> None:
        """Write the job as `submitting`: workers do not see it yet.

        One of a `selection` (JSON) they do: they read the list for it. `entry` goes to its audit log.

        Raises:
            JobIdTaken: there is a job of that id; it is left as it is.

        """
        keys = JobKeys(spec.job_id)
        first = (keys.job, keys.counts, keys.outcomes, keys.times, keys.series, keys.audit)
        others = [key for key in (*keys.lasting, *keys.passing) if key not in first]
        made = await self._create(
            [JOBS, ACTIVE, *first, *others],
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
                int((SUBMITTED_KEEP_S if selection else STORING_KEEP_S) * 1000),
                selection,
                entry,
            ],
        )
        if not made:
            raise JobIdTaken(spec.job_id)
        await self._jobs.trim()

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
        self,
        job_id: str,
        *,
        by: str = "",
        remark: str = "",
        hold: bool = False,
        questions: str = "",
        approval: ApprovalRule = NO_APPROVAL,
        why_empty: tuple[str, str] = ("", ""),
    ) -> None:
        """Let workers see a job whose shards are all stored; one without any rows to send is finished at once.

        `why_empty` is the reason of that, after its code. One with `questions` is held until somebody confirms them,
        one that needs `approval` until somebody other than its submitter gives it. Its audit log, and that of the job
        it was made of, name who submitted it (`by`), with a remark.
        """
        spec = await self._jobs.spec(job_id)
        unapproved = await require_approval(self._redis, spec, approval, by=by)
        await watch_first_failures(self._redis, spec)
        if spec.canary:
            shares: dict[Any, Any] = {
                "canary": Canary.RUNNING,
                "canary_rows": spec.canary,
                "canary_shards": spec.canary_shards,
            }
            await self._redis.hset(JobKeys(job_id).job, mapping=shares)
        first = _held_for(hold=hold, questions=questions, unapproved=unapproved) or (JobState.RUNNING, "", "")
        state, code, reason = first if spec.rows else (JobState.FINISHED, *why_empty)
        await self._jobs.expire(job_id, spec.keep_s if state.ended else SUBMITTED_KEEP_S)
        await self._redis.sadd(ACTIVE, job_id)
        entries = _entries(spec, by, remark)
        had = await self._jobs.move(
            job_id, state, come_from=(JobState.SUBMITTING,), code=code, reason=reason, **entries
        )
        if state.ended and had is JobState.SUBMITTING:
            await self._totals.take_over(job_id)
        elif had.ended:  # another one opened it, and it has ended since: its life is that of one
            await self._jobs.retire(job_id)

    async def _append(self, key: str, packed: bytes) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.rpush(key, packed)
            pipe.pexpire(key, int(STORING_KEEP_S * 1000))
            await pipe.execute()


def _held_for(*, hold: bool, questions: str, unapproved: str) -> tuple[JobState, str, str] | None:
    """Return what holds a job first, as its state with the reason's code and the reason; None where nothing does."""
    if questions:
        return JobState.HELD, NEEDS_CONFIRMATION_CODE, questions
    if hold:
        return JobState.HELD, "", ""
    return (JobState.HELD, NEEDS_APPROVAL_CODE, unapproved) if unapproved else None


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
