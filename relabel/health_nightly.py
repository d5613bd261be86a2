"""Checks the nightly run: how the last ones ended, and whether beat is there to begin the next."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from config.schedule import Schedule, cron_line, zone_name
from config.settings import Settings
from config.shared import NIGHTLY
from config.text import printable
from ledger.ledger import Ledger
from ledger.workers import LivingWorker
from nightly.state import Night, NightState
from nightly.store import Nights
from relabel.check_result import CheckResult, Verdict, combined
from relabel.nightly import NOT_WELL, START_BEAT, beat_fault
from relabel.wording import count_of

REASON_CHARS = 200
SEE_STATUS = "`relabel nightly status` shows its files and jobs"
AFTER_SKIP = "resume or cancel the jobs of the open run, then `relabel nightly run --again`"
RUN_NOW = "check that beat and a worker with the inbox run, then `relabel nightly run`"
SEND_AGAIN = "correct the files in `rejected/` and put them into the inbox again; `relabel nightly status` shows why"


async def check_nightly(ledger: Ledger, settings: Settings) -> CheckResult:
    """Return how the nightly runs stand, and whether beat is there, where a run is scheduled."""
    nights = Nights(ledger.redis)
    last, now = await nights.last(), await ledger.jobs.now()
    open_nights = {night.date: night for night in (*await nights.held(), *await nights.open())}
    runs = {**open_nights, **({last.date: last} if last else {})}
    found = judge_runs(runs.values())
    schedule = settings.nightly.schedule or schedule_of(await ledger.workers.living())
    if schedule is None:
        return combined([CheckResult(Verdict.OK, "no nightly run is scheduled"), *found])
    if date := await nights.missed(schedule):
        due = schedule.until(now)
        since = due.at if due.date == date else None
        found.append(CheckResult(Verdict.FAIL, f"the run of {date} was missed", RUN_NOW, since=since))
    return combined([*found, judge_beat(await nights.beat_seen_at(), now)])


def schedule_of(workers: Iterable[LivingWorker]) -> Schedule | None:
    """Return the schedule that a living worker has, None where none has one; what is none is ignored."""
    for worker in workers:
        said = worker.facts.settings if worker.facts else {}
        with contextlib.suppress(ValueError, KeyError):
            return Schedule(cron_line(said[NIGHTLY[0]]), zone_name(said[NIGHTLY[1]]))
    return None


def judge_runs(nights: Iterable[Night]) -> list[CheckResult]:
    """Return what is wrong with the last run and those that are open, or how the last one stands."""
    found = [_judged(night) for night in sorted(nights, key=lambda night: night.date)]
    return found or [CheckResult(Verdict.OK, "there was no run yet")]


def judge_beat(seen_at: float | None, now: float) -> CheckResult:
    """Return whether beat is there to begin the next run; `seen_at` is when it gave its last sign of life."""
    if fault := beat_fault(seen_at, now):
        return CheckResult(Verdict.WARN if seen_at is None else Verdict.FAIL, fault, START_BEAT, since=seen_at)
    return CheckResult(Verdict.OK, "beat is alive")


def _judged(night: Night) -> CheckResult:
    said = f"the run of {night.date} {_STATES.get(night.state, f'is {night.state}')}"
    reason = printable(night.reason, REASON_CHARS)
    since = night.ended_at or night.started_at
    if night.state in NOT_WELL:
        then = AFTER_SKIP if night.state is NightState.SKIPPED else SEE_STATUS
        return CheckResult(Verdict.FAIL, said, then, reason=reason, since=since)
    if night.rejected:
        what = f"{said}, with {count_of(night.rejected, 'rejected file')} of {night.files:,}"
        return CheckResult(Verdict.WARN, what, SEND_AGAIN, reason=reason, since=since)
    return CheckResult(Verdict.OK, said, reason=reason)


_STATES = {
    NightState.FINISHED: "has finished",
    NightState.NEEDS_ATTENTION: "needs attention",
    NightState.SKIPPED: "was skipped",
    NightState.WAITING: "waits",
}
