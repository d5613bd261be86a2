"""All active jobs and the lasting totals in one read; its cost depends on the active jobs alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from redis.asyncio import Redis

from ledger.identity import Identity, identity_of, is_identity
from ledger.job import Job, JobState
from ledger.job_reader import JOB_READS, job_of, job_reads
from ledger.keys import ACTIVE, TOTALS, JobKeys
from ledger.snapshot import as_hash, read_together

_ENDED = "jobs:"


class SeenJob(NamedTuple):
    """An active job, and the time of its oldest message that no worker has answered, None where there is none."""

    job: Job
    announced_at: float | None


class Overview(NamedTuple):
    """The ledger at one moment. `now` and all times are seconds since the epoch by the server's clock.

    `identity` is the ledger's, None before it has one: totals of two generations cannot be compared. `totals` sums up
    what ended jobs counted (words of `ledger.job.Counts` and `Traffic`); a job is either in there or among the active
    ones, never in both. `ended` counts the ended jobs by their state.
    """

    now: float
    identity: Identity | None
    totals: dict[str, int]
    ended: dict[JobState, int]
    jobs: list[SeenJob]


async def read_overview(redis: Redis) -> Overview:
    """Read everything at one moment, so that a job that ends meanwhile is counted once."""
    ids = sorted(raw.decode() for raw in await redis.smembers(ACTIVE) if isinstance(raw, bytes))
    reads = [(TOTALS, "HGETALL")]
    for job_id in ids:
        reads += [*job_reads(job_id), (JobKeys(job_id).announced, "ZRANGE 0 0 WITHSCORES")]
    (raw_totals, *answers), now = await read_together(redis, reads)
    seen = _seen(zip(*[iter(answers)] * (JOB_READS + 1), strict=True), now)
    fields = as_hash(raw_totals)
    totals = {name.decode(): int(number) for name, number in fields.items() if not is_identity(name)}
    ended = {state: totals.pop(f"{_ENDED}{_word(state)}", 0) for state in JobState if state.ended}
    return Overview(now, identity_of(fields), totals, ended, list(seen))


def _seen(answers: Iterable[tuple[Any, ...]], now: float) -> Iterator[SeenJob]:
    for *of_job, oldest in answers:
        fields = as_hash(of_job[0])
        # one that has left since is in the totals by now (lua/leave.lua); one that is being stored counts nowhere yet
        is_stored = fields.get(b"state") != JobState.SUBMITTING.encode() or b"selection" in fields
        if b"counted" in fields or not is_stored:
            continue
        job = job_of(of_job, now)
        if job is not None:
            yield SeenJob(job, float(oldest[1]) if oldest else None)


def _word(state: JobState) -> str:
    return "lost" if state is JobState.LOST else str(state)
