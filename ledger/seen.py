"""Reads jobs with what was made of each, and the living workers, at one moment: what whoever looks at jobs asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from ledger.audit import MadeJob, made_in
from ledger.job import Job
from ledger.job_reader import JOB_READS, job_of, job_reads
from ledger.job_states import READ_TOGETHER
from ledger.keys import JobKeys
from ledger.snapshot import read_together
from ledger.workers import LIVING_READS, LivingWorker, living_in


class JobWithMade(NamedTuple):
    """A job, and the jobs that were made of its rows, oldest first."""

    job: Job
    made: list[MadeJob]


class Seen(NamedTuple):
    """Jobs in the order in which they were asked for, None for one that is not there; and the living workers."""

    jobs: list[JobWithMade | None]
    workers: list[LivingWorker]


async def read_made(redis: Redis, jobs: Sequence[Job]) -> Seen:
    """Return jobs that were read before with what was made of each, and the living workers, in one round trip."""
    logs = [(JobKeys(job.spec.job_id).audit, "LRANGE 0 -1") for job in jobs]
    answers, now = await read_together(redis, [*LIVING_READS, *logs])
    made = map(made_in, answers[len(LIVING_READS) :])
    workers = living_in(answers[: len(LIVING_READS)], now)
    return Seen([JobWithMade(job, of_job) for job, of_job in zip(jobs, made, strict=True)], workers)


async def read_seen(redis: Redis, job_ids: Sequence[str]) -> Seen:
    """Read jobs and workers, many jobs in a round trip."""
    jobs, workers = list[JobWithMade | None](), list[LivingWorker]()
    for first in range(0, len(job_ids), READ_TOGETHER):
        reads = list(LIVING_READS)
        for job_id in job_ids[first : first + READ_TOGETHER]:
            reads += [*job_reads(job_id), (JobKeys(job_id).audit, "LRANGE 0 -1")]
        answers, now = await read_together(redis, reads)
        workers = living_in(answers[: len(LIVING_READS)], now)
        for *of_job, log in zip(*[iter(answers[len(LIVING_READS) :])] * (JOB_READS + 1), strict=True):
            job = job_of(of_job, now)
            jobs.append(None if job is None else JobWithMade(job, made_in(log)))
    return Seen(jobs, workers)
