"""Decides when so many rows of a job have failed that a person should check before it goes on.

Two rules: a limit of failures that the job's owner sets, and one that needs no setting, for a job of which the first
rows all fail with one code, as with the key of another project (`lua/settle.lua` counts and pauses).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

from redis.asyncio import Redis

from config.failure_limit import NO_LIMIT, FailureLimit
from ledger.cancellation import raise_if_cancelled
from ledger.codec import Detail, unpack_code, unpack_detail, unpack_shard
from ledger.job_spec import JobSpec
from ledger.keys import JobKeys
from ledger.row import TRIED, Outcome, Patch
from ledger.row_reader import read_outcomes

TOO_MANY_CODE = "too_many_failures"
"""The reason code of a job that paused because of its failures."""
KNOWN_KEEP_MS = 60_000
"""Life of what is noted of a job that is gone."""
SAME_FAILURES, LEAST_ROWS = 100, 20
"""Rows that fail alike before the job pauses, all of them in a smaller job; in one of fewer than 20, none does."""


class FailureCounts(NamedTuple):
    """Rows that failed, among so many that have ended."""

    failed: int
    settled: int


async def past_limit(redis: Redis, spec: JobSpec) -> FailureCounts | None:
    """Return the counts where more rows of the job failed than its limit allows; None where it may go on.

    Rows that had ended when the job was last resumed do not count: whoever resumed it knew of them.
    """
    if spec.max_failures in {None, NO_LIMIT}:
        return None
    now = await _failure_counts(redis, spec.job_id)
    known = await redis.hmget(JobKeys(spec.job_id).job, "known_failed", "known_settled")
    since = FailureCounts(now.failed - int(known[0] or 0), now.settled - int(known[1] or 0))
    return since if FailureLimit.parse(spec.max_failures or "").is_passed(*since) else None


async def watch_first_failures(redis: Redis, spec: JobSpec) -> None:
    """Set the job to pause once its first rows all failed with one code, unless it is small or that is switched off."""
    if spec.rows >= LEAST_ROWS and spec.max_failures != NO_LIMIT:
        await redis.hset(JobKeys(spec.job_id).job, "same_after", str(min(SAME_FAILURES, spec.rows)))


async def note_known(redis: Redis, job_id: str) -> None:
    """Remember how many rows have ended, and failed, before the job goes on."""
    now = await _failure_counts(redis, job_id)
    if now.settled:
        known: dict[Any, Any] = {"known_failed": now.failed, "known_settled": now.settled}
        async with redis.pipeline(transaction=True) as pipe:
            pipe.hset(JobKeys(job_id).job, mapping=known)
            pipe.pexpire(JobKeys(job_id).job, KNOWN_KEEP_MS, nx=True)  # where the job expired at this very moment
            await pipe.execute()


async def _failure_counts(redis: Redis, job_id: str) -> FailureCounts:
    numbers = await redis.hmget(JobKeys(job_id).counts, [outcome.word for outcome in TRIED])
    counted = {outcome: int(number or 0) for outcome, number in zip(TRIED, numbers, strict=True)}
    return FailureCounts(counted[Outcome.FAILED], sum(counted.values()))


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
    async for row, packed in _details(redis, spec, outcome):
        raise_if_cancelled()
        code = unpack_code(packed)
        code = code if code in numbers or len(numbers) < MOST_CAUSES else OTHER_CODES
        numbers[code] = numbers.get(code, 0) + 1
        samples = first.setdefault(code, [])
        if len(samples) < SAMPLES:
            samples.append((row, unpack_detail(packed)))
    ranked = sorted(numbers, key=lambda code: -numbers[code])
    return [Cause(code, numbers[code], await _with_patches(redis, spec, first[code])) for code in ranked]


async def too_many_failures(redis: Redis, spec: JobSpec) -> str | None:
    """Return the reason to pause a job of which too many rows failed, with the causes; None where it may go on.

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


async def _details(redis: Redis, spec: JobSpec, outcome: Outcome) -> AsyncIterator[tuple[int, bytes]]:
    """Yield the rows of an outcome in order, with what is said about each.

    The outcomes show which: a byte a row, and no row is read twice.
    """
    keys = JobKeys(spec.job_id)
    for start in range(0, spec.rows, _OUTCOMES_TOGETHER):
        outcomes = await read_outcomes(redis, spec, start, min(spec.rows - start, _OUTCOMES_TOGETHER))
        rows = [start + place for place in _places(outcomes, int(outcome))]
        for at in range(0, len(rows), _DETAILS_TOGETHER):
            group = rows[at : at + _DETAILS_TOGETHER]
            packed = await redis.hmget(keys.details, [str(row) for row in group])
            for row, raw in zip(group, packed, strict=True):
                if isinstance(raw, bytes):
                    yield row, raw


def _places(outcomes: bytes, outcome: int) -> Iterator[int]:
    place = outcomes.find(outcome)
    while place >= 0:
        yield place
        place = outcomes.find(outcome, place + 1)


async def _with_patches(redis: Redis, spec: JobSpec, samples: list[tuple[int, Detail]]) -> list[Sample]:
    shards: dict[int, list[Patch]] = {}
    for number in {spec.place_of(row)[0] for row, _ in samples}:
        body = await redis.hget(JobKeys(spec.job_id).shards, str(number))
        if isinstance(body, bytes):
            shards[number] = unpack_shard(body, spec.rows_in(number))
    placed = [(*spec.place_of(row), detail) for row, detail in samples]
    return [Sample(shards[number][place], detail) for number, place, detail in placed if number in shards]
