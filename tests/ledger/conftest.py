"""A real Redis with jobs in it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from ledger.connect import new_client
from ledger.job import Counts, JobState
from ledger.job_spec import Columns, JobSpec, Mode
from ledger.keys import JobKeys
from ledger.ledger import Ledger
from ledger.row import Outcome, Patch
from ledger.row_index import ENTRY_BYTES, IndexBuilder
from ledger.shards import LeaseAnswer, LeasedShard


class LedgerHarness:
    """One ledger, and the steps that producers and workers take at it."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.ledger = Ledger(redis)
        self.shards = self.ledger.shards

    def spec(self, rows: int = 6, shard_rows: int = 2, **changes: Any) -> JobSpec:
        """A job of so many rows."""
        fields: dict[str, Any] = {
            "job_id": f"job-{secrets.token_hex(4)}",
            "name": "test",
            "mode": Mode.MERGE,
            "journal": True,
            "target": "http://127.0.0.1/v1",
            "columns": Columns("csv", "completion_id", ["completion_id"]),
            "rows": rows,
            "shards": -(-rows // shard_rows),
            "shard_rows": shard_rows,
            "rejected": 0,
            "folded": 0,
            "fingerprint": "f",
            "keep_s": 600.0,
        }
        return JobSpec(**(fields | changes))

    async def store(self, spec: JobSpec) -> None:
        """Write the job and its shards down."""
        await self.ledger.job_store.create(spec)
        rows = [Patch(row + 2, f"id-{row}", {"k": str(row)}) for row in range(spec.rows)]
        for number in range(spec.shards):
            part = rows[spec.first_row(number) : spec.first_row(number) + spec.rows_in(number)]
            await self.ledger.job_store.store_shards(spec.job_id, number, [msgspec.msgpack.encode(part)])
        if rows:
            await self.index(spec, rows)

    async def index(self, spec: JobSpec, rows: list[Patch]) -> None:
        """Write the index of a job's rows."""
        builder, at = IndexBuilder(len(rows)), 0
        builder.add(msgspec.msgpack.encode(rows))
        for part in builder.parts():
            await self.ledger.row_indexes.store(spec.job_id, at, part, size=len(rows) * ENTRY_BYTES)
            at += len(part)

    async def submit(self, rows: int = 6, shard_rows: int = 2, **changes: Any) -> JobSpec:
        """Store a job and let workers see it."""
        spec = self.spec(rows, shard_rows, **changes)
        await self.store(spec)
        await self.ledger.job_store.open(spec.job_id)
        return spec

    async def lease(self, spec: JobSpec, number: int, owner: str = "worker-1") -> LeasedShard:
        """Take a shard as a worker does."""
        assert await self.shards.lease(spec.job_id, number, owner) is LeaseAnswer.LEASED
        shard = await self.shards.load(spec.job_id, number, owner)
        assert shard is not None
        return shard

    async def expire_lease(self, spec: JobSpec, number: int) -> None:
        """Let the time of a lease be over, as if its worker had died long ago."""
        await self.redis.zadd(JobKeys(spec.job_id).leased, {str(number): 1})

    async def lose_announcement(self, spec: JobSpec, number: int) -> None:
        """Let a message be old, as if nobody had ever answered it."""
        await self.redis.zadd(JobKeys(spec.job_id).announced, {str(number): 1})

    async def counts(self, spec: JobSpec) -> Counts:
        """The counts; they always sum up, and always say what the outcome bytes say."""
        counts = (await self.ledger.jobs.get(spec.job_id)).counts
        stored = await self.redis.get(JobKeys(spec.job_id).outcomes) or b""
        for outcome in Outcome:
            unsent = {Outcome.REJECTED: spec.rejected, Outcome.UNCHANGED: spec.unchanged}.get(outcome, 0)
            assert getattr(counts, outcome.word) == stored.count(bytes([outcome])) + unsent
        return counts

    async def places(self, spec: JobSpec) -> dict[str, list[int]]:
        """Where each shard is: waiting, announced or leased."""
        keys = JobKeys(spec.job_id)
        sets = {"waiting": keys.waiting, "announced": keys.announced, "leased": keys.leased}
        return {name: sorted(int(each) for each in await self.redis.zrange(key, 0, -1)) for name, key in sets.items()}

    async def state(self, spec: JobSpec) -> JobState:
        """The job's state."""
        return (await self.ledger.jobs.get(spec.job_id)).state


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client for an empty Redis."""
    client = new_client(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def harness(redis: Redis) -> LedgerHarness:
    """A ledger and the steps taken at it."""
    return LedgerHarness(redis)


@pytest.fixture
def harness_of() -> type[LedgerHarness]:
    """Make a harness in an event loop of one's own."""
    return LedgerHarness
