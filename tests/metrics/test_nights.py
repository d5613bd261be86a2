"""What is shown of nightly runs and notifications."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec

from config.schedule import Schedule
from ledger.keys import NIGHTLY_SCHEDULE
from metrics.endpoint import endpoint
from nightly.state import FileState, NightFile, NightState
from nightly.store import Nights
from notify.outbox import Notice, Outbox
from tests.harness.cluster import Cluster, settings_for
from tests.metrics.scrape import Scrape, scrape

DAILY = Schedule("30 2 * * *", "Europe/Berlin")
WEEK_S = 7 * 86_400


async def test_a_night_is_shown_while_it_goes_on_and_when_it_has_ended(cluster: Cluster) -> None:
    """Its state, times and files; before there was one, nothing is claimed of it."""
    nights, settings = Nights(cluster.ledger.redis), settings_for(cluster.redis.url, cluster.sandbox.base_url)
    with endpoint(settings, address="127.0.0.1", port=0) as port:
        before = await look(port)
        night = (await nights.begin("2026-11-25", asked_by="schedule", overlap="skip")).night
        files = [
            file("a.csv", FileState.DONE, job_id="20261125-023000-aaaa"),
            file("b.csv", FileState.REJECTED),
            file("c.tmp", FileState.LEFT),
        ]
        await nights.put(night, files)
        during = await look(port)
        ended = msgspec.structs.replace(night, state=NightState.FINISHED, ended_at=night.started_at + 60)
        await nights.put(ended)
        after = await look(port)

    assert before.value("relabel_nightly_last_state", state="running") is None
    assert before.value("relabel_nightly_last_start_timestamp_seconds") is None
    assert during.value("relabel_nightly_last_state", state="running") == 1
    assert during.value("relabel_nightly_last_state", state="finished") == 0
    assert during.value("relabel_nightly_last_end_timestamp_seconds") is None
    told = [during.value(f"relabel_nightly_last_{what}") for what in ("files", "jobs", "rejected_files")]
    assert told == [2, 1, 1]
    assert after.value("relabel_nightly_last_state", state="finished") == 1
    assert after.value("relabel_nightly_last_end_timestamp_seconds") == ended.ended_at
    assert "a.csv" not in after.text


async def test_a_night_that_was_missed_is_shown_without_the_settings_of_beat(cluster: Cluster) -> None:
    """By the schedule that beat noted when it was started; and when the next one is due."""
    nights, settings = Nights(cluster.ledger.redis), settings_for(cluster.redis.url, cluster.sandbox.base_url)
    now = await cluster.ledger.jobs.now()
    with endpoint(settings, address="127.0.0.1", port=0) as port:
        before = await look(port)
        await nights.note_schedule(DAILY)
        fresh = await look(port)
        await cluster.ledger.redis.hset(NIGHTLY_SCHEDULE, "since", now - WEEK_S)
        missed = await look(port)

    assert before.value("relabel_nightly_missed") is None
    assert fresh.value("relabel_nightly_missed") == 0
    assert missed.value("relabel_nightly_missed") == 1
    due = missed.value("relabel_nightly_next_timestamp_seconds")
    assert now < due <= now + 90_001  # the longest day has 25 hours
    assert datetime.fromtimestamp(due, tz=UTC).minute == 30


async def test_notifications_that_wait_are_counted(cluster: Cluster) -> None:
    """However often one is posted."""
    settings = settings_for(cluster.redis.url, cluster.sandbox.base_url)
    with endpoint(settings, address="127.0.0.1", port=0) as port:
        none = await look(port)
        for name in ("a", "b", "b"):
            await Outbox(cluster.ledger.redis).post(Notice(name, f"job {name}", None, 1.0))
        two = await look(port)

    assert [one.value("relabel_notifications_waiting") for one in (none, two)] == [0, 2]


def file(name: str, state: FileState, job_id: str | None = None) -> NightFile:
    """A file of a run."""
    return NightFile(name=name, state=state, size=1, changed_ns=1, taken_at=1.0, job_id=job_id)


async def look(port: int) -> Scrape:
    """Scrape without holding up the loop that the API's stand-in lives on."""
    return await asyncio.to_thread(scrape, port)
