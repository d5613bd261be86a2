"""Lists the workers with what each says of itself, and what they do not agree in."""

from __future__ import annotations

from typing import NamedTuple

from config.schedule import Schedule
from ledger.workers import LivingWorker
from nightly.store import Nights
from relabel.agreement import disagreements
from relabel.check_result import CheckResult
from relabel.health_workers import judge_starts
from relabel.session import Session


class WorkerList(NamedTuple):
    """The living workers, the settings in which they differ, and those that were started again and again.

    `now` is in seconds since the epoch by the clock of Redis, as their heartbeats are.
    """

    workers: list[LivingWorker]
    differences: list[str]
    crashing: list[CheckResult]
    now: float


async def list_workers(session: Session) -> WorkerList:
    """Return the workers by name."""
    ledger = session.ledger
    workers = sorted(await ledger.workers.living(), key=lambda worker: worker.name)
    noted = await Nights(ledger.redis).beat_schedule()
    differences = disagreements(workers, Schedule(*noted) if noted else None)
    now = await ledger.jobs.now()
    return WorkerList(workers, differences, judge_starts(await ledger.workers.start_times(), now), now)
