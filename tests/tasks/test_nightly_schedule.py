"""When beat is told to fire: once where it is late, never where it is far too late."""

from __future__ import annotations

import asyncio
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

from config.schedule import Schedule
from config.settings import Settings
from ledger.connect import open_ledger
from ledger.keys import NIGHTLY_SCHEDULE
from nightly.store import Nights
from tasks.nightly_schedule import LOOK_EVERY_S, NightSchedule
from tasks.worker_app import make_worker_app


def due_ago(hours: float) -> NightSchedule:
    """A schedule that was due so long ago, to the minute."""
    due = datetime.now(UTC) - timedelta(hours=hours)
    return NightSchedule(Schedule(f"{due.minute} {due.hour} * * *", "UTC"))


def ago(days: float) -> datetime:
    """A moment so long ago."""
    return datetime.now(UTC) - timedelta(days=days)


def test_a_beat_that_was_down_over_several_nights_fires_once():
    """For the last of them, if that was not long ago."""
    schedule = due_ago(hours=0.5)

    assert schedule.is_due(ago(days=3)).is_due
    assert not schedule.is_due(ago(days=0)).is_due, "once fired, the next time is tomorrow"
    assert 0 < schedule.is_due(ago(days=0)).next <= 86_400


def test_a_night_that_was_missed_does_not_run_at_noon():
    """After six hours it counts as missed."""
    assert due_ago(hours=5.9).is_due(ago(days=1)).is_due
    assert not due_ago(hours=6.1).is_due(ago(days=1)).is_due


def test_beat_keeps_the_schedule_in_its_file():
    """And sees whether it is another one than that of the settings."""
    schedule = NightSchedule(Schedule("30 2 * * *", "Europe/Berlin"))

    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert schedule != NightSchedule(Schedule("30 2 * * *", "UTC"))
    assert repr(schedule) == "<nightly: 30 2 * * * Europe/Berlin>"


def test_beat_shows_each_half_minute_that_it_is_alive(redis_url: str, tmp_path: Path):
    """Also with the schedule from its file, and while Redis is away it goes on."""

    def look_once(url: str) -> float:
        """Let beat look at its schedule; return for how many seconds it then sleeps."""
        nightly = {"cron": "30 2 * * *", "time_zone": "UTC"}
        settings = Settings.model_validate({"redis": {"url": url}, "nightly": nightly})
        app = make_worker_app(settings)
        assert app.conf.beat_max_loop_interval == LOOK_EVERY_S
        beat = app.conf.beat_scheduler(app=app, max_interval=LOOK_EVERY_S, schedule_filename=str(tmp_path / "beat"))
        sleeps = beat.tick()
        beat.close()
        return float(sleeps)

    async def seen() -> float | None:
        async with open_ledger(redis_url) as redis:
            at = await Nights(redis).beat_seen_at()
            await redis.hdel(NIGHTLY_SCHEDULE, "beat_at")
            return at

    found = []
    for _ in range(2):
        assert look_once(redis_url) <= LOOK_EVERY_S
        found.append(asyncio.run(seen()))

    assert all(found)
    assert look_once("redis://127.0.0.1:1/0") <= LOOK_EVERY_S
    assert asyncio.run(seen()) is None
