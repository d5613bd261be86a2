"""A large ledger within seconds: some jobs are made by the functions of producer and workers, all others are copies.

A copy has the same keys as any job (COPY in Redis), with an id, a name and a time of its own. The job of many rows has
the shards of a smaller one over and over; its index is that of the smaller one with each entry repeated. No worker is
alive: what is under way stays so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from redis.asyncio import Redis

from bench.patches import ids, patch_of
from ledger.codec import BeforeImage, Detail
from ledger.job import Traffic
from ledger.job_id import new_job_id
from ledger.job_spec import Columns, JobSpec, Mode
from ledger.keys import ACTIVE, JOBS, JobKeys
from ledger.ledger import Ledger
from ledger.row import Outcome, Patch
from ledger.settlements import Settlement
from nightly.state import FileState, NightFile
from nightly.store import Nights
from producer.check import check_rows
from producer.submit import JobRequest, submit

TARGET = "https://api.example/v1"
NIGHT = "2026-11-27"
SHARD_ROWS, KEEP_S = 500, 30 * 86_400.0
MORE_KEYS = 13
"""Keys of a patch beside those that `patch_of` names, in a job of long values: 16 in all."""
_COPIED_TOGETHER = 100
_ENDS = (
    [(Outcome.UPDATED, "")] * 90
    + [(Outcome.UNCHANGED, "")] * 5
    + [(Outcome.FAILED, "timeout"), (Outcome.FAILED, "bad_request"), (Outcome.FAILED, "not_found")]
    + [(Outcome.DRIFTED, "")] * 2
)
"""How a hundred rows end."""


class Large(NamedTuple):
    """Ids of jobs: `ended` and `open` ones, the one of the most rows; and completions that one job each has changed."""

    ended: list[str]
    open: list[str]
    largest: str
    completions: list[str]


class _Rows:
    columns = Columns("jsonl", "completion_id", [])

    def __init__(self, completion_ids: Sequence[str], value: str = "") -> None:
        self._ids = completion_ids
        self._value = value

    def __iter__(self) -> Iterator[Patch]:
        for line, completion_id in enumerate(self._ids, 1):
            more = {f"key{each}": self._value for each in range(MORE_KEYS)} if self._value else {}
            yield Patch(line, completion_id, patch_of(completion_id) | more)


class Seed:
    """Fills a ledger. All ids are different but those of copies."""

    def __init__(self, redis: Redis, folder: Path) -> None:
        self._redis = redis
        self._ledger = Ledger(redis)
        self._folder = folder
        self._ids = ids(10**9)
        self._at = time.time()

    async def begin(self) -> None:
        """Switch the append-only file off: a ledger that is only read needs none, and filling it would take minutes."""
        await self._redis.config_set("appendonly", "no")

    async def job(self, rows: int, *, done: float = 1.0, value: str = "") -> tuple[JobSpec, list[str]]:
        """Make a job by the functions of producer and workers; a share of its rows has ended. Return its ids, too."""
        own = list(islice(self._ids, rows))
        request = JobRequest(
            f"patches of {rows:,} rows", Mode.MERGE, True, TARGET, SHARD_ROWS, KEEP_S, again=True, by="ada@bench"
        )
        with check_rows(_Rows(own, value), mode=Mode.MERGE, spool_dir=self._folder) as checked:
            made = await submit(checked, request, ledger=self._ledger, announce=lambda *_: None)
        spec = (await self._ledger.jobs.get(made.job_id)).spec
        for number in range(int(spec.shards * done)):
            await self._end(spec, number)
        return spec, own

    async def _end(self, spec: JobSpec, number: int) -> None:
        ledger = self._ledger
        await ledger.shards.lease(spec.job_id, number, "bench")
        shard = await ledger.shards.load(spec.job_id, number, "bench")
        assert shard is not None
        before = {"team": "before", "customer": "cus_1", "source": "api"}
        await ledger.settlements.journal(shard, [BeforeImage(row, before) for row in shard.todo], [])
        ends = []
        for row in shard.todo:
            outcome, code = _ENDS[(row * 7 + number) % len(_ENDS)]
            detail = Detail(code, 400, "the service refused it", "req_1", 2, self._at) if code else None
            ends.append(Settlement(row, outcome, detail))
        await ledger.settlements.settle(shard, ends, Traffic(requests=2 * len(ends)))
        await ledger.shards.release(shard)

    async def copies(self, spec: JobSpec, number: int, *, active: bool = False) -> list[str]:
        """Copy a job so many times, each a second older than the one before."""
        made = list[str]()
        while len(made) < number:
            async with self._redis.pipeline(transaction=False) as pipe:
                for _ in range(min(_COPIED_TOGETHER, number - len(made))):
                    self._at -= 1
                    made.append(self._copy(pipe, spec, active=active))
                await pipe.execute()
        return made

    def _copy(self, pipe: Any, spec: JobSpec, *, active: bool) -> str:
        other = msgspec.structs.replace(spec, job_id=new_job_id(), name=f"{spec.name}, {self._at:.0f}")
        ours, theirs = JobKeys(spec.job_id), JobKeys(other.job_id)
        for source, key in zip((*ours.lasting, *ours.passing), (*theirs.lasting, *theirs.passing), strict=True):
            pipe.copy(source, key)
        pipe.hset(theirs.job, mapping={"spec": msgspec.json.encode(other), "submitted_at": self._at})
        pipe.zadd(JOBS, {other.job_id: self._at})
        if active:
            pipe.sadd(ACTIVE, other.job_id)
        return other.job_id

    async def enlarge(self, spec: JobSpec, times: int) -> JobSpec:
        """Repeat the rows of a job, which fill its shards, so many times over."""
        redis, keys, rows = self._redis, JobKeys(spec.job_id), spec.rows
        assert rows % SHARD_ROWS == 0
        larger = msgspec.structs.replace(spec, rows=rows * times, shards=spec.shards * times)
        for key in (keys.outcomes, keys.times):
            once = bytes(await redis.get(key))
            for copy in range(1, times):
                await redis.setrange(key, copy * len(once), once)
        for number in range(spec.shards):
            body, images = await redis.hmget(keys.shards, str(number)), await redis.hmget(keys.journals, str(number))
            again = [str(number + copy * spec.shards) for copy in range(1, times)]
            await redis.hset(keys.shards, mapping=dict.fromkeys(again, body[0]))
            await redis.hset(keys.journals, mapping=dict.fromkeys(again, images[0]))
        details = await redis.hgetall(keys.details)
        for copy in range(1, times):
            moved = {str(int(row) + copy * rows): packed for row, packed in details.items()}
            await redis.hset(keys.details, mapping=moved)
        index = _repeated(await redis.get(keys.row_index), rows, times)
        for at in range(0, len(index), 1 << 20):
            await redis.setrange(keys.row_index, at, index[at : at + (1 << 20)])
        for word, count in (await redis.hgetall(keys.counts)).items():
            await redis.hset(keys.counts, word, int(count) * times)
        await redis.hset(keys.job, "spec", msgspec.json.encode(larger))
        return larger

    async def night(self, job_ids: Sequence[str]) -> None:
        """Record a nightly run with a file for each of these jobs."""
        nights = Nights(self._redis)
        night, _ = await nights.begin(NIGHT, asked_by="schedule", overlap="skip")
        facts: dict[str, Any] = {"state": FileState.DONE, "size": 1, "changed_ns": 1, "taken_at": self._at}
        files = [NightFile(name=f"{number:04}.csv", job_id=job_id, **facts) for number, job_id in enumerate(job_ids)]
        await nights.put(night, files)


def _repeated(index: bytes, rows: int, times: int) -> bytes:
    """Return the sorted index of rows that occur so many times."""
    entries = np.frombuffer(index, dtype=[("hash", "S8"), ("row", ">u4")])
    many = np.repeat(entries, times)
    many["row"] += np.tile(np.arange(times, dtype=np.uint32) * rows, len(entries))
    return many.tobytes()


async def load_ledger(redis: Redis, folder: Path, *, jobs: int = 1000, rows: int = 10_000_000) -> Large:
    """1,000 jobs and 10 million rows: most of one size, some under way, one of a twentieth of all rows."""
    seed, each = Seed(redis, folder), rows // jobs
    await seed.begin()
    template, _ = await seed.job(each)
    half, _ = await seed.job(each, done=0.5)
    single, completions = await seed.job(min(each, 5000))
    open_ids = [half.job_id, *await seed.copies(half, jobs // 50 - 1, active=True)]
    ended = [template.job_id, single.job_id, *await seed.copies(template, jobs - len(open_ids) - 3)]
    large, _ = await seed.job(each)
    large = await seed.enlarge(large, max(1, jobs // 20))
    return Large(ended, open_ids, large.job_id, completions)
