"""Reads a job's rows back for reports: patch, outcome, details, what was there before."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable, Container, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
from redis.asyncio import Redis

from ledger.codec import Detail, unpack_detail, unpack_images, unpack_rejections, unpack_shard, unpack_unsent
from ledger.errors import StateLost
from ledger.job_spec import JobSpec, Mode
from ledger.keys import JobKeys
from ledger.row import HasLine, Metadata, Outcome, Patch, Rejection, UnsentRow
from ledger.snapshot import read_together

TIME_BYTES = 4
"""Bytes of the time of a settled row (`JobKeys.times`)."""
_DETAILS_TOGETHER = 1000
_OUTCOMES_TOGETHER = 1 << 16
_OUTCOME_BYTES = frozenset(Outcome)


T = TypeVar("T")
Row = TypeVar("Row", bound=HasLine)


class ReportedRow(NamedTuple):
    """A row and how it stands. `before` is its before-image where one was kept.

    `altered` is what the service held of the keys that it stored otherwise than they were sent (`BeforeImage`).
    `settled_at` is when the row ended, in seconds since the epoch; None for an open row, and in a job of release one.
    """

    patch: Patch
    outcome: Outcome
    detail: Detail | None
    before: Metadata | None
    altered: dict[str, str | None] | None = None
    settled_at: int | None = None

    @property
    def line(self) -> int:
        """The 1-based line of the input where the row starts."""
        return self.patch.line


async def read_rows(
    redis: Redis, spec: JobSpec, *, only: Container[Outcome] | None = None
) -> AsyncIterator[ReportedRow]:
    """Yield the job's rows in the order of its file, a shard at a time; `only` those of some outcomes.

    Rows that are carried out oldest first come in that order; the rows of a canary, which are stored first, in between.

    Raises:
        StateLost: the job's keys are gone or torn.

    """
    parts = [range(spec.canary_shards), range(spec.canary_shards, spec.shards)]
    async for _, row in merged(
        [_read_shards(redis, spec, part, only) for part in parts if part], key=lambda row: row[0]
    ):
        yield row


async def _read_shards(
    redis: Redis, spec: JobSpec, numbers: range, only: Container[Outcome] | None
) -> AsyncIterator[tuple[tuple[int, int], ReportedRow]]:
    """Yield the rows of some shards, each with what rows are sorted by to be in the order of the input."""
    for number in numbers:
        first, rows = spec.first_row(number), spec.rows_in(number)
        if only is not None:
            standing = await read_outcomes(redis, spec, first, rows)
            if not any(Outcome(byte) in only for byte in set(standing)):
                continue
        for place, row in enumerate(await read_shard(redis, spec, number), first):
            if only is None or row.outcome in only:
                yield spec.input_order(place), row


def merge_by_line(sources: Sequence[AsyncIterator[Row]]) -> AsyncIterator[Row]:
    """Merge rows of several sources, each in order of their lines."""
    return merged(sources, key=lambda row: row.line)


async def merged(sources: Sequence[AsyncIterator[T]], *, key: Callable[[T], Any]) -> AsyncIterator[T]:
    """Merge what comes from several sources, each of which is in order of the key."""
    heads = [(row, source) for source in sources if (row := await anext(source, None)) is not None]
    while heads:
        first = min(range(len(heads)), key=lambda place: key(heads[place][0]))
        row, source = heads[first]
        yield row
        following = await anext(source, None)
        if following is None:
            del heads[first]
        else:
            heads[first] = (following, source)


async def first_rows(redis: Redis, spec: JobSpec, outcome: Outcome, most: int) -> list[ReportedRow]:
    """Return the first rows of an outcome, found by the byte that each row has.

    Raises:
        StateLost: the job's keys are gone or torn.

    """
    rows = list[ReportedRow]()
    for start in range(0, spec.rows, _OUTCOMES_TOGETHER):
        outcomes = await read_outcomes(redis, spec, start, min(spec.rows - start, _OUTCOMES_TOGETHER))
        place = outcomes.find(outcome)
        while place >= 0 and len(rows) < most:
            rows.append(await read_row(redis, spec, start + place))
            place = outcomes.find(outcome, place + 1)
        if len(rows) == most:
            break
    return rows


async def found_completion(redis: Redis, spec: JobSpec) -> str | None:
    """Return a completion of the job that a worker found; None where no row's outcome shows that.

    Raises:
        StateLost: the job's keys are gone or torn.

    """
    for outcome in (Outcome.UPDATED, Outcome.UNCHANGED, Outcome.WOULD_CHANGE):
        for row in await first_rows(redis, spec, outcome, 1):
            return row.patch.completion_id
    return None


async def read_row(redis: Redis, spec: JobSpec, row: int) -> ReportedRow:
    """Return one row of a job by its number.

    Raises:
        StateLost: the job's keys are gone or torn.

    """
    number, place = spec.place_of(row)
    if row >= spec.rows:
        raise StateLost(spec.job_id)
    return (await read_part(redis, spec, number, range(place, place + 1)))[0]


async def read_shard(redis: Redis, spec: JobSpec, number: int) -> list[ReportedRow]:
    """Return the rows of a shard, in their order.

    Raises:
        StateLost: the job's keys are gone or torn.

    """
    return await read_part(redis, spec, number, range(spec.rows_in(number)))


async def read_part(redis: Redis, spec: JobSpec, number: int, part: range) -> list[ReportedRow]:
    """Return some rows of a shard, by their places in it."""
    keys, shard_rows = JobKeys(spec.job_id), spec.rows_in(number)
    first, rows = spec.first_row(number) + part.start, len(part)
    (body, outcomes, times, closed, journal, *groups), _ = await read_together(
        redis,
        [
            (keys.shards, f"HGET {number}"),
            (keys.outcomes, f"GETRANGE {first} {first + rows - 1}"),
            (keys.times, f"GETRANGE {first * TIME_BYTES} {(first + rows) * TIME_BYTES - 1}"),
            (keys.journals, f"HGET {number}"),
            (keys.journal(number), "GET"),
            *((keys.details, f"HMGET {' '.join(map(str, group))}") for group in _groups(first, rows)),
        ],
    )
    details = [detail for group in groups for detail in group]
    if body is None or len(outcomes) != rows or not _OUTCOME_BYTES.issuperset(outcomes):
        raise StateLost(spec.job_id)
    settled = struct.unpack(f">{rows}I", times) if len(times) == rows * TIME_BYTES else (0,) * rows
    images = unpack_images((closed or b"") + (journal or b""), shard_rows)
    patches = unpack_shard(body, shard_rows)
    found = []
    for at, place in enumerate(part):
        detail = unpack_detail(details[at]) if details[at] else None
        before, altered = (image.metadata, image.altered) if (image := images.get(place)) else (None, None)
        found.append(ReportedRow(patches[place], Outcome(outcomes[at]), detail, before, altered, settled[at] or None))
    return found


async def read_patch(redis: Redis, job_id: str, row: int) -> tuple[Patch, Mode] | None:
    """Return a row's patch and its job's mode; None where the job is gone."""
    keys = JobKeys(job_id)
    raw_spec = await redis.hget(keys.job, "spec")
    if raw_spec is None:
        return None
    spec = msgspec.json.decode(raw_spec, type=JobSpec)
    number, place = spec.place_of(row)
    body = await redis.hget(keys.shards, str(number))
    return (unpack_shard(body, spec.rows_in(number))[place], spec.mode) if isinstance(body, bytes) else None


def _groups(first: int, rows: int) -> Iterator[range]:
    """Part the numbers of rows, as a script takes no more than some thousands of words at once."""
    for start in range(first, first + rows, _DETAILS_TOGETHER):
        yield range(start, min(start + _DETAILS_TOGETHER, first + rows))


async def read_open_patches(redis: Redis, spec: JobSpec) -> AsyncIterator[list[Patch]]:
    """Yield the patches of the rows that have not ended, a shard at a time; reads no other shards.

    Raises:
        StateLost: the job's keys are gone or torn.

    """
    for number in range(spec.shards):
        standing = await read_outcomes(redis, spec, spec.first_row(number), spec.rows_in(number))
        if Outcome.PENDING not in standing:
            continue
        body = await redis.hget(JobKeys(spec.job_id).shards, str(number))
        if not isinstance(body, bytes):
            raise StateLost(spec.job_id)
        patches = unpack_shard(body, spec.rows_in(number))
        yield [patch for patch, byte in zip(patches, standing, strict=True) if byte == Outcome.PENDING]


async def read_outcomes(redis: Redis, spec: JobSpec, first: int, rows: int) -> bytes:
    """Return the outcomes of some rows, a byte each (`Outcome`).

    Raises:
        StateLost: they are not all there.

    """
    outcomes = await redis.getrange(JobKeys(spec.job_id).outcomes, first, first + rows - 1)
    if not isinstance(outcomes, bytes) or len(outcomes) != rows or not _OUTCOME_BYTES.issuperset(outcomes):
        raise StateLost(spec.job_id)
    return outcomes


async def read_rejections(redis: Redis, spec: JobSpec) -> AsyncIterator[Rejection]:
    """Yield the rows of the file that were never sent, in order.

    Raises:
        StateLost: the job's keys are torn.

    """
    async for packed in _list_items(redis, JobKeys(spec.job_id).rejected):
        for rejection in unpack_rejections(packed, spec.shard_rows):
            yield rejection


async def read_unsent(redis: Redis, spec: JobSpec) -> AsyncIterator[UnsentRow]:
    """Yield the valid rows of the file for which nothing is sent, in order.

    Raises:
        StateLost: the job's keys are torn.

    """
    async for packed in _list_items(redis, JobKeys(spec.job_id).unsent):
        for row in unpack_unsent(packed, spec.shard_rows):
            yield row


async def _list_items(redis: Redis, key: str) -> AsyncIterator[bytes]:
    """Yield the items of a list one by one, as each may be some megabytes."""
    for index in range(await redis.llen(key)):
        item = await redis.lindex(key, index)
        if isinstance(item, bytes):
            yield item
