"""Reads a job's rows back for reports: patch, outcome, what there is to say, what was there before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from redis.asyncio import Redis

from ledger.codec import Detail, unpack_detail, unpack_images, unpack_rejections, unpack_shard
from ledger.job import JobSpec
from ledger.keys import JobKeys
from ledger.row import Metadata, Outcome, Patch, Rejection


class ReportedRow(NamedTuple):
    """A row and how it stands. `before` is its before-image where one was kept."""

    patch: Patch
    outcome: Outcome
    detail: Detail | None
    before: Metadata | None


async def read_rows(redis: Redis, spec: JobSpec) -> AsyncIterator[ReportedRow]:
    """Give the job's rows in the order of its file, a shard at a time."""
    keys = JobKeys(spec.job_id)
    for number in range(spec.shards):
        first, rows = number * spec.shard_rows, spec.rows_in(number)
        async with redis.pipeline(transaction=True) as pipe:
            pipe.hget(keys.shards, str(number))
            pipe.getrange(keys.outcomes, first, first + rows - 1)
            pipe.hget(keys.journals, str(number))
            pipe.get(keys.journal(number))
            pipe.hmget(keys.details, [str(first + row) for row in range(rows)])
            body, outcomes, closed, journal, details = await pipe.execute()
        images = unpack_images((closed or b"") + (journal or b""))
        for row, patch in enumerate(unpack_shard(body)):
            detail = unpack_detail(details[row]) if details[row] else None
            yield ReportedRow(patch, Outcome(outcomes[row]), detail, images.get(row))


async def read_rejections(redis: Redis, spec: JobSpec) -> AsyncIterator[Rejection]:
    """Give the rows of the file that were never sent, in order."""
    key = JobKeys(spec.job_id).rejected
    groups = await redis.llen(key)
    for index in range(groups):
        packed = await redis.lindex(key, index)
        for rejection in unpack_rejections(packed) if isinstance(packed, bytes) else ():
            yield rejection
