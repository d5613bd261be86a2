"""A worker's surroundings: a real Redis, a real sandbox over HTTP, and jobs to carry out between them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from completions.client import open_api
from completions.target import Target
from ledger.clock import Clocks
from ledger.codec import BeforeImage, pack_images
from ledger.connect import new_client
from ledger.job import Job
from ledger.job_id import new_job_id
from ledger.job_spec import Columns, JobSpec, Kind, Mode
from ledger.keys import JobKeys, claim_key
from ledger.ledger import Ledger
from ledger.row import OUTCOMES, Metadata, Patch
from ledger.row_reader import ReportedRow, read_rows
from ledger.shards import LeaseAnswer, LeasedShard, ReleaseAnswer
from ratelimit.breaker import CircuitBreaker
from ratelimit.limiter import RateLimiter
from ratelimit.limits import Limit, Limits, SharedLimit
from sandbox import Sandbox, SandboxOptions
from worker.checked_api import KnownCompletions
from worker.read_ahead import PageReach
from worker.service import Service
from worker.shard_run import Bounds, ProcessResources, ShardRun
from worker.worker_key import WorkerKey

KEY = "sk-canary-key-0123456789"
COMPLETION = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgqX"
LIMIT_KEY = "relabel:limit:test"


class WorkerHarness:
    """One ledger, one sandbox, and what a worker does between them, a turn at a time."""

    def __init__(self, redis: Redis, sandbox: Sandbox) -> None:
        self.redis = redis
        self.ledger = Ledger(redis)
        self.sandbox = sandbox
        self.api: dict[str, Any] = {}
        self.read_key: Callable[[], str] | None = None
        self.worker_key: WorkerKey | None = None
        self.limit = Limit(2000.0, 200)
        self.service = Service()
        self.slept_s = 0.0
        self.running, self.wall = time.monotonic, time.time
        self.known: KnownCompletions | None = None
        self.reach: PageReach | None = None

    def stop_clocks(self) -> None:
        """Let nothing that a worker read grow old, however long a busy machine takes."""
        running, wall = time.monotonic(), time.time()
        self.running, self.wall = lambda: running, lambda: wall

    async def submit(
        self,
        *patches: tuple[Any, ...],
        mode: str = "merge",
        journal: bool = True,
        shard_rows: int = 500,
        kind: Kind = Kind.FILE,
        seen: Metadata | None = None,
        canary: int = 0,
        exact: bool = False,
    ) -> str:
        """Store a job of these patches and let workers see it; a selection saw `seen` in each of them.

        A patch is an id, the metadata, and what it expects if anything. The first `canary` of them are the canary.
        """
        rows = [Patch(line, *patch, seen=seen) for line, patch in enumerate(patches, 2)]
        parts = [rows[:canary], rows[canary:]]
        shards = [part[at : at + shard_rows] for part in parts for at in range(0, len(part), shard_rows)]
        spec = JobSpec(
            job_id=new_job_id() + secrets.token_hex(4),
            name="test",
            mode=Mode(mode),
            journal=journal,
            target=self.sandbox.base_url,
            columns=Columns("csv", "completion_id", ["completion_id", "k"]),
            rows=len(rows),
            shards=len(shards),
            shard_rows=shard_rows,
            rejected=0,
            folded=0,
            fingerprint="f",
            keep_s=600.0,
            kind=kind,
            canary=canary,
            exact=exact,
        )
        await self.ledger.job_store.create(spec)
        await self.ledger.job_store.store_shards(spec.job_id, 0, [msgspec.msgpack.encode(shard) for shard in shards])
        await self.ledger.job_store.open(spec.job_id)
        return spec.job_id

    async def lease(self, job_id: str, number: int = 0, owner: str | None = None) -> LeasedShard:
        """Take a shard as a worker does."""
        owner = owner or f"host:1:{secrets.token_hex(4)}"
        assert await self.ledger.shards.lease(job_id, number, owner) is LeaseAnswer.LEASED
        shard = await self.ledger.shards.load(job_id, number, owner)
        assert shard is not None
        return shard

    async def turn(
        self,
        job_id: str,
        number: int = 0,
        *,
        seconds: float = 20.0,
        attempts: int = 3,
        in_flight: int = 16,
        stopping: Callable[[], bool] = lambda: False,
    ) -> ReleaseAnswer:
        """Take one turn at a shard, from lease to release."""
        shard = await self.lease(job_id, number)
        target = Target(self.sandbox.base_url, KEY, **self.api)
        limiter = RateLimiter(Limits(self.redis), SharedLimit(LIMIT_KEY, self.limit), job_id=job_id)
        async with open_api(target, in_flight=in_flight, read_key=self.read_key) as api:
            clocks = Clocks(lambda: self.running() + self.slept_s, lambda: self.wall() + self.slept_s)
            known = self.known or KnownCompletions()
            await ShardRun(
                shard,
                ProcessResources(self.ledger, api, known, stopping, self.worker_key, clocks, self.reach),
                limiter=limiter,
                breaker=CircuitBreaker(self.redis, LIMIT_KEY),
                bounds=Bounds(in_flight, seconds, attempts, target.timeout_s),
                service=self.service,
            ).run()
        return await self.ledger.shards.release(shard)

    async def job(self, job_id: str) -> Job:
        """The job as it stands; its counts always sum up."""
        job = await self.ledger.jobs.get(job_id)
        counts = job.counts
        assert sum(getattr(counts, word) for word in (*OUTCOMES, "pending")) == counts.total
        return job

    async def rows(self, job_id: str) -> list[ReportedRow]:
        """Every row as a report reads it."""
        return [row async for row in read_rows(self.redis, (await self.ledger.jobs.get(job_id)).spec)]

    async def row(self, job_id: str) -> ReportedRow:
        """The job's only row."""
        (row,) = await self.rows(job_id)
        return row

    async def journal(
        self, job_id: str, row: int, metadata: Metadata, *, altered: dict[str, str | None] | None = None
    ) -> None:
        """Write a before-image as a worker does that is killed right after it."""
        await self.redis.append(JobKeys(job_id).journal(0), pack_images([BeforeImage(row, metadata, altered)]))

    async def forget_writes(self) -> None:
        """Let the records of settled writes be gone, as they are after a minute."""
        async for key in self.redis.scan_iter(match=claim_key("*")):
            await self.redis.delete(key)

    def sent(self, method: str | None = None) -> list[Any]:
        """The requests that the sandbox saw, in order."""
        return [entry for entry in self.sandbox.log.entries if method in (None, entry.method)]

    def applied(self, completion_id: str = COMPLETION) -> int:
        """How often the completion was changed."""
        return sum(entry.applied for entry in self.sent("POST") if entry.id == completion_id)

    def fault(self, kind: str, method: str | None = None, **rule: Any) -> None:
        """Let requests go wrong."""
        match = {key: value for key, value in (("method", method), ("id", rule.pop("id", None))) if value}
        self.sandbox.add_faults(rules=[{"fault": kind, "match": match, **rule}])


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client for an empty Redis."""
    client = new_client(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Sandbox]]]:
    """Start a sandbox that stores one completion."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Sandbox:
            sandbox = await stack.enter_async_context(Sandbox(SandboxOptions(**options)))
            sandbox.store.load({COMPLETION: {"team": "blue"}})
            return sandbox

        yield start


@pytest.fixture
async def sandbox(start: Callable[..., Awaitable[Sandbox]]) -> Sandbox:
    """A sandbox that stores one completion."""
    return await start()


@pytest.fixture
def harness(redis: Redis, sandbox: Sandbox) -> WorkerHarness:
    """A ledger, a sandbox, and turns between them."""
    return WorkerHarness(redis, sandbox)


@pytest.fixture
def completion_id() -> str:
    """The id of the stored completion."""
    return COMPLETION


@pytest.fixture
def key() -> str:
    """The key that requests carry."""
    return KEY


@pytest.fixture
def eventually() -> Callable[..., Awaitable[None]]:
    """Wait for a condition, with a deadline."""

    async def wait(condition: Callable[[], Awaitable[Any] | Any], *, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            met = condition()
            if asyncio.iscoroutine(met):
                met = await met
            if met:
                return
            assert time.monotonic() < deadline, "the condition did not come true in time"
            await asyncio.sleep(0.01)

    return wait
