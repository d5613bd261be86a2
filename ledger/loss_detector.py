"""Remembers the active jobs and open nights of a ledger, and records as lost what is gone without having ended."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from ledger.identity import identity_of
from ledger.job import Job, JobState
from ledger.job_reader import CHANGE_READS, JOB_READS, change_reads, changed_job, job_of, job_reads
from ledger.keys import TOTALS, JobKeys, night_key
from ledger.ledger import Ledger
from ledger.losses import LISTED_S, Loss
from ledger.snapshot import as_hash, read_together

MOST_REMEMBERED = 1000
"""Active jobs that a process remembers, the newest; the rest is counted."""
MOST_NIGHTS = 100
"""Open nights that a process remembers; there is one, or a few that wait for it."""

log = logging.getLogger(__name__)


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The active jobs of a ledger as they stood `at` a moment (seconds since the epoch by the server's clock).

    `leased` are the ids of those that a worker had a shard of, `nights` the open nights as they are stored, by date,
    `unnamed` the number of active jobs beyond those remembered. `lost` are the jobs found lost within the last day, by
    when: their tombstones go, too, where Redis comes back empty once more.
    """

    generation: str
    at: float
    jobs: dict[str, Job] = {}
    leased: frozenset[str] = frozenset()
    nights: dict[str, bytes] = {}
    unnamed: int = 0
    lost: dict[str, tuple[float, Job]] = {}


class LossDetector:
    """What one process remembers. `seen_by` names the process where it finds something lost."""

    def __init__(self, seen_by: str, memory: Memory | None = None) -> None:
        self._seen_by = seen_by
        self.memory = memory

    async def check(self, ledger: Ledger) -> list[Loss]:
        """Record what is lost since the last call, remember what is there now, and return what this process recorded.

        Everything is lost where the ledger is another one than before; else only a job that a worker was at: any other
        that is missing has expired. Where Redis fails meanwhile, nothing is forgotten, and the next call goes on.

        Raises:
            NewerLedger: it holds what a newer release stored.

        """
        await ledger.identity.establish()
        jobs = self.memory.jobs if self.memory else {}
        known = {job_id: job for job_id, job in jobs.items() if job.state is not JobState.SUBMITTING}  # may get rows
        now = await _look(ledger, known)
        if now is None:  # emptied since the line before
            return []
        before = self.memory
        lost = [] if before is None else await self._compare(ledger, before, now)
        self.memory = now if before is None else msgspec.structs.replace(now, lost=_still_lost(before, now, lost))
        return lost

    async def _compare(self, ledger: Ledger, before: Memory, now: Memory) -> list[Loss]:
        gone = [job for job_id, job in before.jobs.items() if job_id not in now.jobs]
        if before.generation == now.generation:
            # an ended job is there for `keep_s` seconds at least, so that one missing sooner has not expired
            passed_s = now.at - before.at
            gone = [job for job in gone if job.spec.job_id in before.leased and passed_s < job.spec.keep_s]
            return await self._record(ledger, gone, {}, now.at)
        gone += [job for _, job in before.lost.values()]
        lost = await self._record(ledger, gone, before.nights, now.at)
        if await ledger.identity.note_reset(before.generation, seen_by=self._seen_by, unnamed=before.unnamed):
            log.error("the ledger came back empty", extra={"jobs": len(gone), "unnamed": before.unnamed})
        return lost

    async def _record(self, ledger: Ledger, jobs: list[Job], nights: dict[str, bytes], at: float) -> list[Loss]:
        lost = []
        for job in jobs:
            if await ledger.losses.record_job(job, since=at, seen_by=self._seen_by):
                log.error("job lost", extra={"job": job.spec.job_id, "state": job.state})
                lost.append(Loss("job", job.spec.job_id, at))
        for date, night in nights.items():
            if await ledger.losses.record_night(date, night, since=at, seen_by=self._seen_by):
                log.error("nightly run lost", extra={"date": date})
                lost.append(Loss("night", date, at))
        return lost


def _still_lost(before: Memory, now: Memory, lost: list[Loss]) -> dict[str, tuple[float, Job]]:
    """Return the jobs found lost within the last day, this time's included, the latest at most."""
    news = {loss.name: (now.at, before.jobs[loss.name]) for loss in lost if loss.name in before.jobs}
    found = {job_id: each for job_id, each in (before.lost | news).items() if each[0] > now.at - LISTED_S}
    return dict(sorted(found.items(), key=lambda item: item[1][0])[-MOST_REMEMBERED:])


async def _look(ledger: Ledger, known: Mapping[str, Job]) -> Memory | None:
    """Return what is there at one moment, of known jobs what changed; None where the ledger has no identity."""
    active = sorted(await ledger.jobs.active(), reverse=True)
    ids = active[:MOST_REMEMBERED]
    dates = (await ledger.losses.open_nights())[-MOST_NIGHTS:]
    reads = [(TOTALS, "HGETALL"), *((night_key(date), "HGET night") for date in dates)]
    for job_id in ids:
        of_job = change_reads(job_id) if job_id in known else job_reads(job_id)
        reads += [(JobKeys(job_id).leased, "ZCARD"), *of_job]
    (totals, *answers), now = await read_together(ledger.redis, reads)
    identity = identity_of(as_hash(totals))
    if identity is None:
        return None
    rest = iter(answers)
    nights = {date: night for date, night in zip(dates, islice(rest, len(dates)), strict=True) if night}
    seen = list(_jobs(ids, rest, known, now))
    return Memory(
        generation=identity.generation,
        at=now,
        jobs={job.spec.job_id: job for job, _ in seen},
        leased=frozenset(job.spec.job_id for job, leased in seen if leased),
        nights=nights,
        unnamed=len(active) - len(ids),
    )


def _jobs(
    ids: Sequence[str], answers: Iterator[Any], known: Mapping[str, Job], now: float
) -> Iterator[tuple[Job, int]]:
    """Yield the active jobs in the answers, each with the number of its leased shards."""
    for job_id in ids:
        leased = next(answers)
        if job_id in known:
            job = changed_job(known[job_id], list(islice(answers, CHANGE_READS)))
        else:
            job = job_of(list(islice(answers, JOB_READS)), now)
        is_stored = job is not None and (job.state is not JobState.SUBMITTING or job.selection is not None)
        if job is not None and is_stored and job.state is not JobState.LOST:
            yield msgspec.structs.replace(job, selection=None), leased  # what is remembered may go to a file
