"""Finds jobs by the beginning of their id, by who submitted them, and by when."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Container
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis

from ledger.job_spec import ALL_KINDS, Kind
from ledger.keys import ACTIVE, JOBS, JobKeys
from ledger.person import name_of

SEARCHED = 1000
"""Jobs that are looked at for those of one person, the newest first."""
_TOGETHER = 100
_GLOB = str.maketrans({character: f"\\{character}" for character in "*?[]\\^-"})


class _Submitted(msgspec.Struct):
    """What is read of a `ledger.job_spec.JobSpec`."""

    by: str = ""
    kind: Kind = Kind.FILE


class _Lost(msgspec.Struct):
    """What is read of a `ledger.tombstone.Tombstone`."""

    spec: _Submitted


_decode = msgspec.json.Decoder(_Submitted).decode
_decode_lost = msgspec.json.Decoder(_Lost).decode


async def ids_beginning_with(redis: Redis, beginning: str) -> list[str]:
    """Return the ids of the jobs that begin so and are still there, the newest first."""
    pattern = f"{beginning.translate(_GLOB)}*"
    found = {name.decode(): at async for name, at in redis.zscan_iter(JOBS, match=pattern, count=1000)}
    ids = sorted(found, key=found.__getitem__, reverse=True)
    async with redis.pipeline(transaction=False) as pipe:
        for job_id in ids:
            pipe.exists(JobKeys(job_id).job, JobKeys(job_id).tombstone)
        there = await pipe.execute()
    return [job_id for job_id, is_there in zip(ids, there, strict=True) if is_there]


async def latest_id_of(redis: Redis, who: str, kinds: Container[Kind] = ALL_KINDS) -> str | None:
    """Return the id of the newest job of some kinds that somebody (user@host) submitted.

    None where there is none among the latest jobs.

    Jobs of release one do not say who submitted them.
    """
    for first in range(0, SEARCHED, _TOGETHER):
        newest: list[Any] = await redis.zrevrange(JOBS, first, first + _TOGETHER - 1)
        ids: list[str] = [name.decode() for name in newest]
        for job_id, (who_submitted, kind) in zip(ids, await _submissions(redis, ids), strict=True):
            if name_of(who_submitted) == name_of(who) and kind in kinds:
                return job_id
        if len(ids) < _TOGETHER:
            break
    return None


class Submission(NamedTuple):
    """A job and when it was submitted, in seconds since the epoch."""

    job_id: str
    at: float


async def submission_of(redis: Redis, job_id: str) -> Submission | None:
    """Return when a job was submitted; None where it is not listed any more."""
    at = await redis.zscore(JOBS, job_id)
    return None if at is None else Submission(job_id, float(at))


async def newest_first(
    redis: Redis, *, since: float = 0.0, before: Submission | None = None
) -> AsyncIterator[Submission]:
    """Yield the jobs that were submitted since a moment, in seconds since the epoch; some may be gone.

    `before` begins behind that job. Jobs that are submitted meanwhile change nothing of the order.
    """
    last = before or Submission("", math.inf)
    while True:
        place = last.at if math.isfinite(last.at) else "+inf"
        found: list[Any] = await redis.zrange(
            JOBS, place, since, desc=True, byscore=True, withscores=True, offset=0, num=_TOGETHER
        )
        jobs = [Submission(name.decode(), float(at)) for name, at in found]
        behind = [job for job in jobs if job.at < last.at or (job.at == last.at and job.job_id < last.job_id)]
        for job in behind:
            yield job
        if len(jobs) < _TOGETHER:
            return
        last = behind[-1] if behind else Submission("", math.nextafter(last.at, 0.0))


async def newest_active(
    redis: Redis, *, since: float = 0.0, before: Submission | None = None
) -> AsyncIterator[Submission]:
    """Yield as `newest_first` those of the jobs that are active: few, however many are kept.

    A job that is held, runs or is paused is among them; one that has just ended may be.
    """
    found: Any = await redis.zinter({JOBS: 1, ACTIVE: 0}, withscores=True)  # in the order of the list
    for job in (Submission(name.decode(), float(at)) for name, at in reversed(found)):
        if job.at >= since and (before is None or (job.at, job.job_id) < (before.at, before.job_id)):
            yield job


async def _submissions(redis: Redis, ids: list[str]) -> list[tuple[str, Kind]]:
    """Return who submitted each job, '' where it is not known, and its kind; a tombstone knows of a lost one."""
    async with redis.pipeline(transaction=False) as pipe:
        for job_id in ids:
            pipe.hget(JobKeys(job_id).job, "spec")
            pipe.get(JobKeys(job_id).tombstone)
        answers = iter(await pipe.execute())
    found = [
        _decode(spec) if spec else _decode_lost(lost).spec if lost else _Submitted()
        for spec, lost in zip(answers, answers, strict=True)
    ]
    return [(each.by, each.kind) for each in found]
