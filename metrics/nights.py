"""Metrics of the nightly runs and of the notifications."""

from __future__ import annotations

from prometheus_client.core import GaugeMetricFamily, Metric

from config.schedule import Schedule
from ledger.ledger import Ledger
from nightly.state import Night, NightState
from nightly.store import Nights
from notify.outbox import Outbox


async def night_families(ledger: Ledger) -> list[Metric]:
    """Return the last run, and the schedule that beat or a worker was started with; what is missing has no sample."""
    return [*_last_run(await Nights(ledger.redis).last()), *await _schedule(ledger)]


async def notice_families(ledger: Ledger) -> list[Metric]:
    """Return the number of notifications that the webhook has not accepted yet."""
    what = "Notifications that were not delivered yet."
    return [GaugeMetricFamily("relabel_notifications_waiting", what, await Outbox(ledger.redis).waiting())]


def _last_run(night: Night | None) -> list[Metric]:
    state = GaugeMetricFamily("relabel_nightly_last_state", "1 for the state of the last run.", labels=["state"])
    for each in NightState if night else ():
        state.add_metric([each.value], night is not None and night.state is each)
    families: list[Metric] = [state]
    for name, what, attribute in (
        ("start_timestamp_seconds", "When the last run began, seconds since the epoch.", "started_at"),
        ("end_timestamp_seconds", "When its last file was filed away; missing before.", "ended_at"),
        ("files", "Files that the last run took.", "files"),
        ("jobs", "Jobs that it made of them.", "jobs"),
        ("rejected_files", "Files that it rejected.", "rejected"),
        ("held_files", "Files of it that wait for somebody's yes.", "held"),
    ):
        families.append(GaugeMetricFamily(f"relabel_nightly_last_{name}", what, getattr(night, attribute, None)))
    return families


async def _schedule(ledger: Ledger) -> list[Metric]:
    missed: bool | None = None
    due: float | None = None
    if noted := await Nights(ledger.redis).noted_schedule():
        schedule = Schedule(*noted)
        missed = await Nights(ledger.redis).missed(schedule) is not None
        due = next(schedule.after(await ledger.jobs.now())).at
    return [
        GaugeMetricFamily("relabel_nightly_missed", "1 where the run that was due last has not begun.", missed),
        GaugeMetricFamily("relabel_nightly_next_timestamp_seconds", "When the next run is due.", due),
    ]
