"""Reads some rows of a job from a place on, however large the job is: without going through those before."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from redis.asyncio import Redis

from ledger.codec import unpack_code, unpack_rejections, unpack_shard, unpack_unsent
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


async def in_groups(numbers: AsyncIterator[int], size: int) -> AsyncIterator[list[int]]:
    """Yield numbers in groups of at most this size."""
    group = list[int]()
    async for number in numbers:
        group.append(number)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


async def with_codes(redis: Redis, spec: JobSpec, numbers: Sequence[int], codes: Collection[str]) -> list[int]:
    """Return those of these rows that ended with one of the codes."""
    packed: Any = await redis.hmget(JobKeys(spec.job_id).details, [str(number) for number in numbers])
    return [number for number, raw in zip(numbers, packed, strict=True) if raw and unpack_code(raw) in codes]


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


async def find_line(redis: Redis, spec: JobSpec, line: int) -> int | None:
    """Return the number of the row from this line of the input, found by halves; None where none is found.

    Rows that are carried out in another order than that of the input are not found.

    Raises:
        StateLost: the job's keys are gone or torn.

    """

    async def lines_of(shard: int) -> list[int]:
        body = await redis.hget(JobKeys(spec.job_id).shards, str(shard))
        if not isinstance(body, bytes):
            raise StateLost(spec.job_id)
        return [patch.line for patch in unpack_shard(body, spec.rows_in(shard))]

    for part in (range(spec.canary_shards), range(spec.canary_shards, spec.shards)):
        shard, place = await _halved(part, lines_of, line)
        if place is not None:
            return spec.first_row(shard) + place
    return None


async def find_unsent_line(redis: Redis, spec: JobSpec, line: int) -> tuple[str, int] | None:
    """Return the list, `x` of rejected rows or `u` of others for which nothing is sent, and the number of a line's row.

    Raises:
        StateLost: the job's keys are torn.

    """
    keys, lists = JobKeys(spec.job_id), (("x", unpack_rejections), ("u", unpack_unsent))
    for kind, unpack in lists:
        key = keys.rejected if kind == "x" else keys.unsent

        async def lines_of(index: int, key: str = key, unpack: Any = unpack) -> list[int]:
            packed: Any = await redis.lindex(key, index)
            return [row.line for row in unpack(packed, spec.shard_rows)] if packed else []

        group, place = await _halved(range(await redis.llen(key)), lines_of, line)
        if place is not None:
            return kind, group * len(await lines_of(0)) + place
    return None


async def _halved(groups: range, lines_of: Callable[[int], Awaitable[list[int]]], line: int) -> tuple[int, int | None]:
    """Return the group that has a line, of groups in order of their lines, and its place there, None where none has."""
    first, past = groups.start, groups.stop
    while first < past:
        middle = (first + past) // 2
        if (await lines_of(middle))[:1] <= [line]:
            first = middle + 1
        else:
            past = middle
    if first == groups.start:
        return first, None
    lines = await lines_of(first - 1)
    return first - 1, lines.index(line) if line in lines else None


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
