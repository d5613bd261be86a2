"""Reads some rows of a job from a place on, however large the job is: without going through those before."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from redis.asyncio import Redis

from ledger.codec import unpack_rejections, unpack_unsent
from ledger.errors import StateLost
from ledger.job_spec import JobSpec
from ledger.keys import JobKeys
from ledger.row import Outcome, Rejection, UnsentRow
from ledger.row_reader import ReportedRow, read_part

_BLOCK = 1 << 20
"""Outcomes that are read together: a byte each."""


async def find_outcomes(redis: Redis, spec: JobSpec, wanted: Collection[Outcome], first: int) -> AsyncIterator[int]:
    """Yield the numbers of the rows with these outcomes, from the row `first` on.

    Raises:
        StateLost: the job's keys are gone or torn.

    """
    if not wanted:
        return
    pattern = re.compile(b"[" + re.escape(bytes(sorted(wanted))) + b"]")
    for start in range(first, spec.rows, _BLOCK):
        end = min(start + _BLOCK, spec.rows)
        outcomes: Any = await redis.getrange(JobKeys(spec.job_id).outcomes, start, end - 1)
        if len(outcomes) != end - start:
            raise StateLost(spec.job_id)
        for found in pattern.finditer(outcomes):
            yield start + found.start()


async def read_numbered(redis: Redis, spec: JobSpec, numbers: Sequence[int]) -> list[ReportedRow]:
    """Return the rows of these numbers, which ascend, at a round trip a shard.

    Raises:
        StateLost: the job's keys are gone or torn.

    """
    rows = list[ReportedRow]()
    for shard, group in groupby(map(spec.place_of, numbers), key=itemgetter(0)):
        places = [place for _, place in group]
        part = range(places[0], places[-1] + 1)
        read = await read_part(redis, spec, shard, part)
        rows += [read[place - part.start] for place in places]
    return rows


async def read_rejections_from(redis: Redis, spec: JobSpec, first: int) -> AsyncIterator[tuple[int, Rejection]]:
    """Yield the rejected rows with their numbers, from the number `first` on.

    Raises:
        StateLost: the job's keys are torn.

    """
    async for number, row in _items(redis, JobKeys(spec.job_id).rejected, first, spec, unpack_rejections):
        yield number, row


async def read_unsent_from(redis: Redis, spec: JobSpec, first: int) -> AsyncIterator[tuple[int, UnsentRow]]:
    """Yield the rows for which nothing is sent with their numbers, from the number `first` on.

    Raises:
        StateLost: the job's keys are torn.

    """
    async for number, row in _items(redis, JobKeys(spec.job_id).unsent, first, spec, unpack_unsent):
        yield number, row


async def _items(redis: Redis, key: str, first: int, spec: JobSpec, unpack: Any) -> AsyncIterator[tuple[int, Any]]:
    """Yield what a list of packed groups holds; all groups but the last are as large as the first."""
    head: Any = await redis.lindex(key, 0)
    if head is None:
        return
    size = len(unpack(head, spec.shard_rows))
    for index in range(first // size, await redis.llen(key)):
        packed: Any = await redis.lindex(key, index)
        if packed is None:
            return
        for place, row in enumerate(unpack(packed, spec.shard_rows)):
            if index * size + place >= first:
                yield index * size + place, row
