"""When beat is told to fire: once where it is late, never where it is far too late."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

from config.schedule import Schedule
from tasks.nightly_schedule import NightSchedule


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
