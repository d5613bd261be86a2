"""The nightly schedule for Celery's beat."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from celery.beat import PersistentScheduler
from celery.schedules import BaseSchedule, schedstate

from config.schedule import Schedule

LOOK_EVERY_S = 30
"""How often beat checks its schedule, and so shows that it is alive."""
LATEST_S = 6 * 3600.0
"""Delay after which a run is not started any more, so that a night that was missed does not run at noon."""


class NightSchedule(BaseSchedule):
    """Due when the schedule of the settings is, so that beat, `nightly next` and `nightly status` never disagree.

    After beat was down over one or more due times it is due once, unless the last of them is too long ago.
    """

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule

    def now(self) -> datetime:
        """Return the time of this machine."""
        return datetime.now(UTC)

    def is_due(self, last_run_at: datetime) -> schedstate:
        """Return whether a run is due, and in how many seconds to ask again."""
        now = time.time()
        last = self.schedule.until(now).at
        is_due = last > last_run_at.timestamp() and now - last <= LATEST_S
        return schedstate(is_due=is_due, next=self.schedule.next_moment(now) - now)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NightSchedule) and other.schedule == self.schedule

    def __hash__(self) -> int:
        return hash(self.schedule)

    def __repr__(self) -> str:
        return f"<nightly: {self.schedule.cron} {self.schedule.time_zone}>"

    def __reduce__(self) -> tuple[type[NightSchedule], tuple[Schedule]]:
        """Return how to pickle it, as beat stores it in a file."""
        return type(self), (self.schedule,)


def scheduler_that(notes: Callable[[], None]) -> type[PersistentScheduler]:
    """Return beat's usual scheduler, which calls `notes` each time before it checks what is due."""

    class NotingScheduler(PersistentScheduler):
        """Beat's scheduler."""

        def tick(self, *args: Any, **options: Any) -> float:
            """Start what is due; return the seconds until the next check."""
            notes()
            return float(super().tick(*args, **options))

    return NotingScheduler
