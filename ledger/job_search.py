"""Finds jobs by the beginning of their id, and by who submitted them."""

from __future__ import annotations

from typing import Any

import msgspec
from redis.asyncio import Redis

from ledger.keys import JOBS, JobKeys

SEARCHED = 1000
"""Jobs that are looked at for those of one person, the newest first."""
_TOGETHER = 100
_GLOB = str.maketrans({character: f"\\{character}" for character in "*?[]\\^-"})


class _Submitted(msgspec.Struct):
    """What is read of a `ledger.job.JobSpec`."""

    by: str = ""


_decode = msgspec.json.Decoder(_Submitted).decode


async def ids_beginning_with(redis: Redis, beginning: str) -> list[str]:
    """Return the ids of the jobs that begin so and are still there, the newest first."""
    pattern = f"{beginning.translate(_GLOB)}*"
    found = {name.decode(): at async for name, at in redis.zscan_iter(JOBS, match=pattern, count=1000)}
    ids = sorted(found, key=found.__getitem__, reverse=True)
    there = await _specs(redis, ids)
    return [job_id for job_id in ids if there[job_id] is not None]


async def latest_id_of(redis: Redis, who: str) -> str | None:
    """Return the id of the newest job that somebody (user@host) submitted, None where the latest jobs are others'.

    Jobs of release one do not say who submitted them.
    """
    for first in range(0, SEARCHED, _TOGETHER):
        newest: list[Any] = await redis.zrevrange(JOBS, first, first + _TOGETHER - 1)
        ids: list[str] = [name.decode() for name in newest]
        specs = await _specs(redis, ids)
        for job_id in ids:
            raw = specs[job_id]
            if raw is not None and _decode(raw).by == who:
                return job_id
        if len(ids) < _TOGETHER:
            break
    return None


async def _specs(redis: Redis, ids: list[str]) -> dict[str, bytes | None]:
    """Return what was asked for of each job; None for one whose keys have expired."""
    async with redis.pipeline(transaction=False) as pipe:
        for job_id in ids:
            pipe.hget(JobKeys(job_id).job, "spec")
        return dict(zip(ids, await pipe.execute(), strict=True))
