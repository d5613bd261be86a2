"""Tells when so many rows of a job have failed that somebody should look before it goes on.

Two rules: a limit of failures that the job's owner sets, and one that needs no setting, for a job of which the first
rows all fail with one code, as with the key of another project (`lua/settle.lua` counts and pauses).
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Self

from redis.asyncio import Redis

from ledger.job import JobSpec
from ledger.keys import JobKeys

TOO_MANY_CODE = "too_many_failures"
"""The reason code of a job that paused because of its failures."""
LEAST_SETTLED = 100
"""Rows that have to end before the failures among them say anything."""
KNOWN_KEEP_MS = 60_000
"""Life of what is noted of a job that is gone."""
NO_LIMIT = "none"
"""What `--max-failures` names to switch both rules off."""
SAME_FAILURES, LEAST_ROWS = 100, 20
"""Rows that fail alike before the job pauses, all of them in a smaller job; in one of fewer than 20, none does."""
_ENDS = ("failed", "updated", "unchanged", "drifted")


class FailureLimit(NamedTuple):
    """Failures that are put up with: a share of the rows that have ended, or a number."""

    most: float
    is_share: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `5%` or `20`; ValueError where it is neither."""
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(%?)", text.strip())
        if match is None or (match[2] and float(match[1]) > 100) or (not match[2] and "." in match[1]):
            raise ValueError(text)
        return cls(float(match[1]) / 100 if match[2] else float(match[1]), bool(match[2]))

    def is_passed(self, failed: int, settled: int) -> bool:
        """Tell whether so many failures among so many rows are too many."""
        return settled >= LEAST_SETTLED and failed > self.most * (settled if self.is_share else 1)


class Standing(NamedTuple):
    """Rows that failed, among so many that have ended."""

    failed: int
    settled: int


async def past_limit(redis: Redis, spec: JobSpec) -> Standing | None:
    """Give how the job stands where more of its rows failed than it may have; None where it may go on.

    Rows that had ended when the job was last resumed do not count: whoever resumed it knew of them.
    """
    if spec.max_failures in {None, NO_LIMIT}:
        return None
    now = await _standing(redis, spec.job_id)
    known = await redis.hmget(JobKeys(spec.job_id).job, "known_failed", "known_settled")
    since = Standing(now.failed - int(known[0] or 0), now.settled - int(known[1] or 0))
    return since if FailureLimit.parse(spec.max_failures or "").is_passed(*since) else None


async def watch_first_failures(redis: Redis, spec: JobSpec) -> None:
    """Have the job pause once its first rows all failed with one code, unless it is small or nobody wants that."""
    if spec.rows >= LEAST_ROWS and spec.max_failures != NO_LIMIT:
        await redis.hset(JobKeys(spec.job_id).job, "same_after", str(min(SAME_FAILURES, spec.rows)))


async def note_known(redis: Redis, job_id: str) -> None:
    """Remember how many rows have ended, and failed, before the job goes on."""
    now = await _standing(redis, job_id)
    if now.settled:
        known: dict[Any, Any] = {"known_failed": now.failed, "known_settled": now.settled}
        async with redis.pipeline(transaction=True) as pipe:
            pipe.hset(JobKeys(job_id).job, mapping=known)
            pipe.pexpire(JobKeys(job_id).job, KNOWN_KEEP_MS, nx=True)  # where the job expired at this very moment
            await pipe.execute()


async def _standing(redis: Redis, job_id: str) -> Standing:
    counted = [int(value or 0) for value in await redis.hmget(JobKeys(job_id).counts, *_ENDS)]
    return Standing(counted[0], sum(counted))
