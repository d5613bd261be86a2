"""Groups a job's failed rows by their cause; reads only what there is to say about those rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

from redis.asyncio import Redis

from ledger.codec import Detail, unpack_detail, unpack_shard
from ledger.failures import past_limit
from ledger.job import JobSpec
from ledger.keys import JobKeys
from ledger.row import Outcome, Patch
from ledger.rows import read_outcomes

SAMPLES = 3
"""Rows that are kept to show what a cause looks like."""
MOST_CAUSES = 100
"""Causes that are told apart; codes come from the server, so that their number has to be bounded here."""
OTHER_CODES = "other"
"""The code under which the causes beyond `MOST_CAUSES` are counted."""
SHOWN_CAUSES = 5
"""Causes that the reason of a paused job names."""
_OUTCOMES_TOGETHER = 1 << 16
_DETAILS_TOGETHER = 500


class Sample(NamedTuple):
    """A row that shows a cause."""

    patch: Patch
    detail: Detail


class Cause(NamedTuple):
    """Failed rows that share a code: how many, and the first of them in the order of the file."""

    code: str
    rows: int
    samples: list[Sample]


async def read_causes(redis: Redis, spec: JobSpec, outcome: Outcome = Outcome.FAILED) -> list[Cause]:
    """Group the rows of an outcome by code, the most frequent first.

    Raises:
        StateLost: the job's keys are gone or torn.

    """
    numbers: dict[str, int] = {}
    first: dict[str, list[tuple[int, Detail]]] = {}
    async for row, detail in _details(redis, spec, outcome):
        code = detail.code if detail.code in numbers or len(numbers) < MOST_CAUSES else OTHER_CODES
        numbers[code] = numbers.get(code, 0) + 1
        samples = first.setdefault(code, [])
        if len(samples) < SAMPLES:
            samples.append((row, detail))
    ranked = sorted(numbers, key=lambda code: -numbers[code])
    return [Cause(code, numbers[code], await _with_patches(redis, spec, first[code])) for code in ranked]


async def too_many_failures(redis: Redis, spec: JobSpec) -> str | None:
    """Give the reason to pause a job of which too many rows failed, with the causes; None where it may go on.

    Raises:
        StateLost: the job's keys are gone or torn.

    """
    past = await past_limit(redis, spec)
    if past is None:
        return None
    causes = await read_causes(redis, spec)
    said = [f"{cause.code} {cause.rows:,}" for cause in causes[:SHOWN_CAUSES]]
    if others := sum(cause.rows for cause in causes[SHOWN_CAUSES:]):
        said.append(f"others {others:,}")
    numbers = f"{past.failed:,} of {past.settled:,} rows failed"
    return f"{numbers}, more than {spec.max_failures} (--max-failures): {', '.join(said)}"


async def _details(redis: Redis, spec: JobSpec, outcome: Outcome) -> AsyncIterator[tuple[int, Detail]]:
    """Give the rows of an outcome in order. The outcomes tell where to look: a byte a row, no row read twice."""
    keys = JobKeys(spec.job_id)
    for start in range(0, spec.rows, _OUTCOMES_TOGETHER):
        outcomes = await read_outcomes(redis, spec, start, min(spec.rows - start, _OUTCOMES_TOGETHER))
        rows = [start + place for place in _places(outcomes, int(outcome))]
        for at in range(0, len(rows), _DETAILS_TOGETHER):
            group = rows[at : at + _DETAILS_TOGETHER]
            packed = await redis.hmget(keys.details, [str(row) for row in group])
            for row, raw in zip(group, packed, strict=True):
                if isinstance(raw, bytes):
                    yield row, unpack_detail(raw)


def _places(outcomes: bytes, outcome: int) -> Iterator[int]:
    place = outcomes.find(outcome)
    while place >= 0:
        yield place
        place = outcomes.find(outcome, place + 1)


async def _with_patches(redis: Redis, spec: JobSpec, samples: list[tuple[int, Detail]]) -> list[Sample]:
    found = []
    for row, detail in samples:
        number, place = divmod(row, spec.shard_rows)
        body = await redis.hget(JobKeys(spec.job_id).shards, str(number))
        if isinstance(body, bytes):
            found.append(Sample(unpack_shard(body, spec.rows_in(number))[place], detail))
    return found
