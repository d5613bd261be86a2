"""Shows the nightly runs, and begins and follows one that is wanted now."""

from __future__ import annotations

import asyncio
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from config.errors import SettingsError
from config.schedule import Due, Schedule
from config.settings import Settings
from ledger.clock import utc_time
from ledger.ledger import Ledger
from nightly.state import Night, NightState
from nightly.store import Nights
from relabel.errors import WrongState
from relabel.nightly_run import NightlyRun, read_run, run_facts
from relabel.session import Session
from relabel.wording import in_words

POLL_EVERY_S = 0.5
NO_SCHEDULE = "no nightly run is scheduled; set RELABEL_NIGHTLY__CRON, such as `30 2 * * *`"
NOT_RUN = frozenset({NightState.SKIPPED, NightState.LOST})
"""States of a run that did not come to its end."""
NOT_WELL = NOT_RUN | {NightState.NEEDS_ATTENTION}
"""States of a run that somebody has to look at."""


BEAT_SILENT_S = 90.0
"""Age of the last sign of life of beat from which it counts as silent; it gives one each half minute."""
START_BEAT = "start `celery -A tasks.app beat`, and look at its log"


class NightlyStatus(NamedTuple):
    """The last run and others that have not ended, the date of one that was missed, and when the next is due.

    `beat_fault` is why beat would not begin it, '' where it would or nothing is due.
    """

    last: NightlyRun | None
    still_open: list[NightlyRun]
    missed: str | None
    due: Due | None
    beat_fault: str = ""

    @property
    def well(self) -> bool:
        """Whether no run was missed, skipped or lost, and none needs attention."""
        runs = [run for run in (*self.still_open, self.last) if run]
        return not self.missed and all(run.night.state not in NOT_WELL for run in runs)


def required_schedule(settings: Settings) -> Schedule:
    """Return the schedule; raise SettingsError where there is none."""
    if settings.nightly.schedule is None:
        raise SettingsError(f"{NO_SCHEDULE}.")
    return settings.nightly.schedule


def next_runs(settings: Settings, number: int) -> list[Due]:
    """Return when the next runs are due.

    Raises:
        SettingsError: nothing is scheduled.

    """
    return list(islice(required_schedule(settings).after(datetime.now().astimezone().timestamp()), number))


async def nightly_status(session: Session) -> NightlyStatus:
    """Return how the nightly runs stand."""
    ledger, schedule = session.ledger, session.settings.nightly.schedule
    nights = Nights(ledger.redis)
    last = await nights.last()
    open_nights = {each.date: each for each in (*await nights.held(), *await nights.open())}
    now = await ledger.jobs.now()
    others = [each for date, each in sorted(open_nights.items()) if last is None or date != last.date]
    return NightlyStatus(
        last=None if last is None else await read_run(ledger, last),
        still_open=[await read_run(ledger, each) for each in others],
        missed=await nights.missed(schedule) if schedule else None,
        due=next(schedule.after(now), None) if schedule else None,
        beat_fault=beat_fault(await nights.beat_seen_at(), now) if schedule else "",
    )


async def schedule_in_force(session: Session) -> Schedule | None:
    """Return the schedule of the settings, else that which beat was last started with; None where none is known."""
    noted = await Nights(session.ledger.redis).beat_schedule()
    return session.settings.nightly.schedule or (Schedule(*noted) if noted else None)


def due_at(night: Night, schedule: Schedule | None) -> float | None:
    """Return when a run was due by the schedule; None where it was not, or by another one."""
    due = schedule.until(night.started_at) if schedule else None
    return due.at if due and due.date == night.date else None


def beat_fault(seen_at: float | None, now: float) -> str:
    """Return why beat begins no run, '' where it is alive; `seen_at` is when it gave its last sign of life."""
    if seen_at is not None and now - seen_at <= BEAT_SILENT_S:
        return ""
    fault = "was never seen" if seen_at is None else f"is silent for {in_words(now - seen_at)}"
    return f"beat {fault}, so no run begins by itself"


async def latest_runs(session: Session, number: int, *, after: str = "") -> list[NightlyRun]:
    """Return so many of the latest runs at most, the newest first, beginning behind that of the date `after`."""
    return [await read_run(session.ledger, night) for night in await latest_nights(session, number, after=after)]


async def latest_nights(session: Session, number: int, *, after: str = "") -> list[Night]:
    """Return the same without the jobs, of which a run may have hundreds."""
    return await Nights(session.ledger.redis).latest(number, before=after)


async def run_of(session: Session, date: str) -> NightlyRun | None:
    """Return the run of a date; None where none is kept."""
    night = await Nights(session.ledger.redis).get(date)
    return None if night is None else await read_run(session.ledger, night)


async def begin_run(session: Session, *, again: bool) -> NightlyRun:
    """Begin the run that was due last, and ask the workers that have the inbox to carry it on.

    `again` lets a run that has ended take what is new in the inbox.

    Raises:
        WrongState: another run is open, or the date had its run.

    """
    ledger, nightly, nights = session.ledger, session.settings.nightly, Nights(session.ledger.redis)
    at = await ledger.jobs.now()
    date = nightly.schedule.until(at).date if nightly.schedule else nightly.date_of(at)
    others = [night for night in await nights.open() if night.date != date]
    if others and nightly.overlap == "skip":
        raise WrongState(f"the run of {others[0].date} has not ended; see `relabel nightly status`, then try again.")
    night, new = await nights.begin(date, asked_by=session.user, overlap=nightly.overlap)
    if not new and night.state.ended:
        if not (again or night.state in NOT_RUN):
            raise WrongState(f"the run of {date} was made already; --again takes what is new in the inbox.")
        await nights.reopen(night)
    run = await _run_of(ledger, date)
    _ask_to_carry_on(session.settings)
    return run


async def follow_run(ledger: Ledger, date: str) -> NightlyRun:
    """Wait for the end of the run, or until its jobs wait for somebody to resume them; return it as it then stands."""
    while True:
        run = await _run_of(ledger, date)
        if run.night.state.ended or run.stuck:
            return run
        await asyncio.sleep(POLL_EVERY_S)


def nightly_facts(settings: Settings, status: NightlyStatus) -> dict[str, Any]:
    """Return how the nightly runs stand as JSON takes it."""
    return {
        "last": None if status.last is None else run_facts(status.last),
        "open": [run_facts(each) for each in status.still_open],
        "missed": status.missed,
        "beat_fault": status.beat_fault or None,
        "next": None if status.due is None else utc_time(status.due.at),
        "cron": settings.nightly.cron,
        "time_zone": settings.nightly.time_zone,
    }


async def _run_of(ledger: Ledger, date: str) -> NightlyRun:
    night = await Nights(ledger.redis).get(date)
    if night is None:
        raise WrongState(f"Redis lost the run of {date}; look at it, then try again.")
    return await read_run(ledger, night)


def _ask_to_carry_on(settings: Settings) -> None:
    from tasks.announce import ask_to_carry_on  # noqa: PLC0415 - loads Celery
    from tasks.celery_app import make_app  # noqa: PLC0415 - as above

    ask_to_carry_on(make_app(settings))
