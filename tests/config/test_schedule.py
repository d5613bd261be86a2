"""When runs are due: by cron line, time zone and the change of the clocks."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from config.schedule import Due, Schedule

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = "UTC", fold: int = 0) -> float:
    """A moment by the clock on the wall; `fold` 1 is its second pass."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def test_the_next_runs_are_one_a_date():
    """Of several times on a date the first one counts."""
    schedule = Schedule("0 2,14 * * *", "UTC")

    assert list(islice(schedule.after(at("2026-11-25T01:00")), 2)) == [
        Due("2026-11-25", at("2026-11-25T02:00")),
        Due("2026-11-26", at("2026-11-26T02:00")),
    ]
    assert next(schedule.after(at("2026-11-25T03:00"))).date == "2026-11-26"
    assert schedule.next_moment(at("2026-11-25T03:00")) == at("2026-11-25T14:00"), "beat tries once more"


def test_the_last_run_that_was_due_is_found_to_the_second():
    """It belongs to the local date at which it was due, however late it is."""
    schedule = Schedule("30 23 * * *", "America/New_York")
    due = at("2026-11-25T23:30", "America/New_York")

    assert schedule.until(due) == schedule.until(due + 3600) == Due("2026-11-25", due)
    assert schedule.until(due - 0.5).date == "2026-11-24"


@pytest.mark.parametrize(
    ("day", "due"),
    [
        ("2026-03-29", at("2026-03-29T03:00", BERLIN)),  # 02:30 is skipped: made up for at once
        ("2026-10-25", at("2026-10-25T02:30", BERLIN, fold=0)),  # 02:30 comes twice: the first counts
    ],
)
def test_a_run_is_due_once_on_the_days_the_clock_changes(day, due):
    """Looking ahead, and looking back in each minute around it."""
    schedule = Schedule("30 2 * * *", BERLIN)
    midnight = at(f"{day}T00:00", BERLIN)

    assert next(schedule.after(midnight)) == Due(day, due)
    assert next(schedule.after(due)).date > day
    for minute in range(6 * 60):
        moment = midnight + minute * 60
        assert schedule.until(moment).date == (day if moment >= due else f"{day[:-2]}{int(day[-2:]) - 1}"), minute
