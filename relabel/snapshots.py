"""Reads a job again and again until it ends or waits for somebody; an outage of Redis does not end it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec

from ledger.connect import AWAY, describe
from ledger.errors import NoSuchJob
from ledger.job import Job, JobState
from relabel.control import CLOSE_WITHIN_S
from relabel.explain import is_idle, standing, waiting_for
from relabel.session import Session
from relabel.worker_state import read_idle


class JobSnapshot(NamedTuple):
    """A job at one moment, and why no worker takes rows, '' where one does.

    `outage` says why neither is fresh, '' where they are.
    """

    job: Job
    idle: str = ""
    outage: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether another snapshot follows."""
        return bool(self.outage) or not is_idle(self.job)

    @property
    def closing(self) -> bool:
        """Whether rows of a cancelled job have yet to end."""
        return not self.outage and self.job.state is JobState.CANCELLED and self.job.counts.pending > 0

    def explanation(self, shared_rate: float | None = None) -> str:
        """Return what the job waits for, else its state; `shared_rate` is in requests a minute."""
        if self.outage:
            return "Redis cannot be reached; trying again"
        return waiting_for(self.job, self.idle, shared_rate=shared_rate) or standing(self.job)


async def job_snapshots(
    session: Session, job_id: str, *, every_s: float, close_within_s: float = CLOSE_WITHIN_S
) -> AsyncIterator[JobSnapshot]:
    """Yield the job every so many seconds; the last snapshot shows it ended, paused, held or lost.

    Of a cancelled job it comes once all rows have ended, or after the seconds that workers take for that at most.

    Raises:
        NoSuchJob: there is no such job at the start; one that vanishes later is seen as lost.

    """
    seen = await _take(session, job_id)
    closing_looks = math.ceil(close_within_s / every_s)
    while True:
        if not (seen.closing and closing_looks):
            yield seen
            if not seen.goes_on:
                return
        closing_looks -= seen.closing
        await asyncio.sleep(every_s)
        try:
            seen = await _take(session, job_id)
        except NoSuchJob:
            seen = JobSnapshot(msgspec.structs.replace(seen.job, state=JobState.LOST), seen.idle)
        except AWAY as error:
            seen = seen._replace(outage=describe(error))


async def _take(session: Session, job_id: str) -> JobSnapshot:
    return JobSnapshot(await session.ledger.jobs.get(job_id), await read_idle(session.ledger))
