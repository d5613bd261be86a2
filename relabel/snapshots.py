"""Reads a job again and again until it ends or waits for somebody; an outage of Redis does not end it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec

from ledger.connect import AWAY, describe
from ledger.errors import NoSuchJob
from ledger.job import Job, JobState
from relabel.explain import is_idle, standing, waiting_for
from relabel.session import Session


class JobSnapshot(NamedTuple):
    """A job at one moment, and the number of living workers. `outage` says why neither is fresh, '' where they are."""

    job: Job
    workers: int
    outage: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether another snapshot follows."""
        return bool(self.outage) or not is_idle(self.job)

    def explanation(self, shared_rate: float | None = None) -> str:
        """Return what the job waits for, else its state; `shared_rate` is in requests a minute."""
        if self.outage:
            return "Redis cannot be reached; trying again"
        return waiting_for(self.job, self.workers, shared_rate=shared_rate) or standing(self.job)


async def take_snapshot(session: Session, job_id: str) -> JobSnapshot:
    """Return the job as it stands now.

    Raises:
        NoSuchJob: there is no such job.

    """
    return JobSnapshot(await session.ledger.jobs.get(job_id), len(await session.ledger.workers.children()))


async def job_snapshots(session: Session, job_id: str, *, every_s: float) -> AsyncIterator[JobSnapshot]:
    """Yield the job every so many seconds; the last snapshot shows it ended, paused, held or lost.

    Raises:
        NoSuchJob: there is no such job at the start; one that vanishes later is seen as lost.

    """
    seen = await take_snapshot(session, job_id)
    yield seen
    while seen.goes_on:
        await asyncio.sleep(every_s)
        try:
            seen = await take_snapshot(session, job_id)
        except NoSuchJob:
            seen = JobSnapshot(msgspec.structs.replace(seen.job, state=JobState.LOST), seen.workers)
        except AWAY as error:
            seen = seen._replace(outage=describe(error))
        yield seen
