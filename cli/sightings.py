"""Looks at a job again and again until it ends or is put down, through outages of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec
from rich.console import Console

from cli.console import shown
from cli.why import is_put_down
from ledger.connect import AWAY, describe
from ledger.errors import NoSuchJob
from ledger.job import Job, JobState
from ledger.ledger import Ledger


class Sighting(NamedTuple):
    """A job at one moment, and the number of living workers. `outage` says why neither is fresh, '' where they are."""

    job: Job
    workers: int
    outage: str = ""


async def sightings(ledger: Ledger, job_id: str, *, every_s: float) -> AsyncIterator[Sighting]:
    """Give the job as it stands, time and again; the last one shows it ended, paused, held or lost.

    Raises:
        NoSuchJob: there is no such job at the start; one that vanishes later is seen as lost.

    """
    seen = await _look(ledger, job_id)
    yield seen
    while seen.outage or not is_put_down(seen.job):
        await asyncio.sleep(every_s)
        try:
            seen = await _look(ledger, job_id)
        except NoSuchJob:
            seen = Sighting(msgspec.structs.replace(seen.job, state=JobState.LOST), seen.workers)
        except AWAY as error:
            seen = seen._replace(outage=describe(error))
        yield seen


async def _look(ledger: Ledger, job_id: str) -> Sighting:
    return Sighting(await ledger.jobs.get(job_id), len(await ledger.shards.children()))


class OutageTeller:
    """Says once that Redis is away and once that it is back."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._away = False

    def tell(self, seen: Sighting) -> None:
        """Say what changed since the last sighting."""
        away = bool(seen.outage)
        if away and not self._away:
            self._console.print(shown(f"{seen.outage} Trying again until it answers."), soft_wrap=True)
        elif self._away and not away:
            self._console.print(shown("Redis answers again."), soft_wrap=True)
        self._away = away
