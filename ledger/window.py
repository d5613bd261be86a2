"""Computes how many shards of a job may be with workers at once: its window, by the workers and the priorities."""

from __future__ import annotations

from redis.asyncio import Redis

from ledger.job_spec import Priority
from ledger.keys import ACTIVE, JobKeys
from ledger.workers import Workers


async def window_of(redis: Redis, job_id: str) -> int:
    """Return how many of the job's shards may be announced or leased: as many as keep all workers busy, one more each.

    Where jobs of higher priority run, fewer.
    """
    children = await Workers(redis).children()
    running = await running_jobs(redis)
    own = running.get(job_id, Priority.NORMAL).weight
    heaviest = max([own, *(priority.weight for priority in running.values())])
    return max(1, max(2, sum(children) + len(children)) * own // heaviest)


async def running_jobs(redis: Redis) -> dict[str, Priority]:
    """Return the jobs that run now, with their priorities."""
    job_ids = [raw.decode() for raw in await redis.smembers(ACTIVE) if isinstance(raw, bytes)]
    async with redis.pipeline(transaction=False) as pipe:
        for job_id in job_ids:
            pipe.hmget(JobKeys(job_id).job, ["state", "priority"])
        standing = await pipe.execute()
    return {
        job_id: Priority((priority or b"normal").decode())
        for job_id, (state, priority) in zip(job_ids, standing, strict=True)
        if state == b"running"
    }
