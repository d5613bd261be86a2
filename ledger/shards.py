"""Hands shards out to workers: announce, lease, renew, release, rescue."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from ledger.clock import server_time
from ledger.codec import (
    BeforeImage,
    Detail,
    Tries,
    compact_images,
    pack_detail,
    unpack_images,
    unpack_shard,
    unpack_tries,
)
from ledger.errors import StateLost
from ledger.job import JobState, Traffic
from ledger.job_spec import JobSpec
from ledger.keys import RESCUE_LOCK, TOTALS, JobKeys
from ledger.progress import LastError, Waits
from ledger.row import Outcome, Patch
from ledger.scripts import load_script
from ledger.window import window_of

LEASE_S = 8.0
"""Life of a lease that is not renewed; with a rescue every 2 s a dead child's shard is back within 15 s."""
LOST_ANNOUNCEMENT_S = 30.0
"""Age at which a message that nobody answered counts as lost (kombu's pop is not atomic: facts, section 1.1)."""
PARK_AFTER = 4
"""Leases in a row that may end with the worker's death and without one row settled before a shard is parked."""
IN_DOUBT_CODE = "may_have_been_written"
"""The code of a cancelled row of which a write may have left before."""
_NO_TRAFFIC = Traffic()
_IN_DOUBT = "the job was cancelled after a write of this row may have left; the completion may hold the new values"


class LeaseAnswer(enum.StrEnum):
    """What came of asking for a shard."""

    LEASED = "leased"
    GONE = "gone"
    DONE = "done"
    BUSY = "busy"
    IDLE = "idle"


class ReleaseAnswer(enum.StrEnum):
    """What came of a worker's turn at a shard."""

    LOST = "lost"
    WAITING = "waiting"
    CLOSED = "closed"
    FINISHED = "finished"


class Rescued(NamedTuple):
    """What a rescue found: shards to park, messages that nobody answered, leases that ran out as their worker died."""

    parked: list[int]
    messages_lost: int
    workers_lost: int


class LeasedShard(NamedTuple):
    """A shard in a worker's hands. `todo` holds the rows without an outcome, by their number within the shard.

    `running_since` tells this run of the job from the one after it was paused and resumed.
    """

    spec: JobSpec
    number: int
    owner: str
    todo: dict[int, Patch]
    images: dict[int, BeforeImage]
    tries: dict[int, Tries]
    running_since: str

    @property
    def worker(self) -> str:
        """The name of the worker that holds the lease."""
        return self.owner.rpartition(":")[0] or self.owner

    @property
    def first_row(self) -> int:
        """Number within the job of the shard's first row."""
        return self.spec.first_row(self.number)


class Shards:
    """The shards of all jobs in one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._announce = load_script(redis, "announce")
        self._lease = load_script(redis, "lease")
        self._renew = load_script(redis, "renew")
        self._release = load_script(redis, "release")
        self._rescue = load_script(redis, "rescue")
        self._survive = load_script(redis, "survive")
        self._close = load_script(redis, "close")

    async def to_announce(self, job_id: str) -> list[int]:
        """Choose the shards to send messages for now: as many as keep every worker busy, and one more each.

        Where jobs of higher priority run, fewer: messages of all jobs take turns in one queue.
        """
        keys = JobKeys(job_id)
        window = await window_of(self._redis, job_id)
        chosen = await self._announce([keys.job, keys.waiting, keys.announced, keys.leased], [window])
        return [int(number) for number in chosen]

    async def lease(self, job_id: str, number: int, owner: str) -> LeaseAnswer:
        """Take the shard for `LEASE_S` seconds."""
        keys = JobKeys(job_id)
        answer = await self._lease(
            [keys.job, keys.waiting, keys.announced, keys.leased, keys.owners], [number, owner, LEASE_S]
        )
        return LeaseAnswer(answer.decode())

    async def load(self, job_id: str, number: int, owner: str) -> LeasedShard | None:
        """Read a leased shard and what earlier turns left of it; None where its keys are gone or torn."""
        keys = JobKeys(job_id)
        fields: list[Any] = await self._redis.hmget(keys.job, "spec", "running_at")
        raw_spec, running_at = fields
        if raw_spec is None:
            return None
        spec = msgspec.json.decode(raw_spec, type=JobSpec)
        first, rows = spec.first_row(number), spec.rows_in(number)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hget(keys.shards, str(number))
            pipe.getrange(keys.outcomes, first, first + rows - 1)
            pipe.get(keys.journal(number))
            pipe.hmget(keys.tries, [str(first + row) for row in range(rows)])
            body, outcomes, journal, tries = await pipe.execute()
        if body is None or len(outcomes) != rows:
            return None
        try:
            patches, images = unpack_shard(body, rows), unpack_images(journal or b"", rows)
        except StateLost:
            return None
        todo = {row: patch for row, patch in enumerate(patches) if outcomes[row] == Outcome.PENDING}
        return LeasedShard(
            spec=spec,
            number=number,
            owner=owner,
            todo=todo,
            images=images,
            tries={row: unpack_tries(packed) for row, packed in enumerate(tries) if packed},
            running_since=(running_at or b"0").decode(),
        )

    async def is_leased(self, job_id: str) -> bool:
        """Return whether a worker may be at the job; a lease that ran out is a dead worker's."""
        seconds, _ = await self._redis.time()
        return bool(await self._redis.zcount(JobKeys(job_id).leased, seconds, "+inf"))

    async def renew(
        self, shard: LeasedShard, waits: Waits, error: LastError | None = None, traffic: Traffic = _NO_TRAFFIC
    ) -> JobState | None:
        """Renew the lease and return the job's state; None where the lease is lost.

        `error` is the last request since the renewal before that did not succeed, `traffic` what the turn cost so far.
        """
        keys = JobKeys(shard.spec.job_id)
        met = msgspec.json.encode(error) if error else b""
        touched = [keys.job, keys.leased, keys.owners, keys.pace, keys.counts, keys.series]
        cost = (traffic.requests, traffic.retries, traffic.throttled)
        answer = (await self._renew(touched, [shard.number, shard.owner, LEASE_S, met, *cost, *waits])).decode()
        return None if answer == "lost" else JobState(answer)

    async def release(self, shard: LeasedShard) -> ReleaseAnswer:
        """End the turn: the shard is closed where every row has its outcome, else it waits for its next turn."""
        keys, rows = JobKeys(shard.spec.job_id), shard.spec.rows_in(shard.number)
        journal = await self._redis.get(keys.journal(shard.number))
        answer = await self._release(
            [
                keys.job,
                keys.outcomes,
                keys.waiting,
                keys.announced,
                keys.leased,
                keys.owners,
                keys.crashes,
                keys.pace,
                keys.journal(shard.number),
                keys.journals,
                keys.counts,
                keys.audit,
                keys.details,
                keys.series,
            ],
            [
                shard.number,
                shard.owner,
                shard.first_row,
                rows,
                compact_images(unpack_images(journal, rows)) if isinstance(journal, bytes) else b"",
            ],
        )
        return ReleaseAnswer(answer.decode())

    async def survive(self, job_id: str, number: int, owner: str) -> bool:
        """Subtract the crash that was counted for an owner that is alive; return whether there was one."""
        return bool(await self._survive([JobKeys(job_id).crashes], [number, owner]))

    async def rescue(self, job_id: str) -> Rescued:
        """Queue the shards again that no worker has; return those to park, whose worker died `PARK_AFTER` times."""
        keys = JobKeys(job_id)
        parked, messages_lost, workers_lost = await self._rescue(
            [keys.job, keys.waiting, keys.announced, keys.leased, keys.owners, keys.crashes, keys.pace, TOTALS],
            [LOST_ANNOUNCEMENT_S, PARK_AFTER],
        )
        return Rescued([int(number) for number in parked], messages_lost, workers_lost)

    async def close(self, spec: JobSpec, number: int, outcome: Outcome, detail: Detail | None, *, by: str = "") -> int:
        """Settle the shard's open rows with one outcome and close it; return the number of rows, -1 if it is leased.

        `by` is who closes it, for the audit log.

        Rows that end as cancelled although they may have been written are marked as such, and counted.
        """
        keys = JobKeys(spec.job_id)
        writes = not spec.kind.only_reads
        in_doubt = await self._in_doubt(spec, number) if outcome is Outcome.CANCELLED and writes else []
        written = await self._close(
            [
                keys.job,
                keys.counts,
                keys.outcomes,
                keys.details,
                keys.waiting,
                keys.announced,
                keys.leased,
                keys.tries,
                keys.journal(number),
                keys.journals,
                keys.times,
                keys.audit,
                keys.series,
            ],
            [
                number,
                spec.first_row(number),
                spec.rows_in(number),
                int(outcome),
                pack_detail(detail) if detail else b"",
                pack_detail(Detail(IN_DOUBT_CODE, 0, _IN_DOUBT, "", 0, await server_time(self._redis))),
                by,
                *in_doubt,
            ],
        )
        return int(written)

    async def _in_doubt(self, spec: JobSpec, number: int) -> list[int]:
        """Return the rows of a shard, by their numbers in the job, of which a write may have left.

        Of a job without before-images nothing else tells which rows a dead worker was at, so it may be any.
        """
        keys, first = JobKeys(spec.job_id), spec.first_row(number)
        rows = range(first, first + spec.rows_in(number))
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.get(keys.journal(number))
            pipe.hmget(keys.tries, [str(row) for row in rows])
            pipe.hexists(keys.crashes, str(number))
            journal, tries, crashed = await pipe.execute()
        if crashed and not spec.journal:
            return list(rows)
        try:
            images = unpack_images(journal or b"", len(rows))
        except StateLost:
            return list(rows)
        tried = {row for row, packed in zip(rows, tries, strict=True) if packed and _may_have_left(spec, packed)}
        return sorted(tried | {first + row for row in images})

    async def close_all(self, spec: JobSpec, outcome: Outcome) -> bool:
        """Close every shard that no worker is at with this outcome for its open rows; return whether none is left."""
        keys = JobKeys(spec.job_id)
        await self.rescue(spec.job_id)
        for key in (keys.waiting, keys.announced):
            numbers: list[Any] = await self._redis.zrange(key, 0, -1)
            for number in numbers:
                await self.close(spec, int(number), outcome, None)
        return not await self._redis.exists(keys.waiting, keys.announced, keys.leased)

    async def take_rescue(self, seconds: float) -> bool:
        """Take the right to rescue for so long; False where another worker has it."""
        return bool(await self._redis.set(RESCUE_LOCK, "1", nx=True, px=int(seconds * 1000)))


def _may_have_left(spec: JobSpec, packed: bytes) -> bool:
    return unpack_tries(packed).in_doubt or not spec.journal
