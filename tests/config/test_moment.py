"""A moment is read as people write it, in the time zone of the machine unless it names one."""

from __future__ import annotations

import time

import pytest

from config.moment import parse_moment

NOW = 1_795_000_000.0


@pytest.fixture
def berlin(monkeypatch):
    """A machine in Berlin, an hour ahead of UTC in winter."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("30m", NOW - 1800),
        ("1.5h", NOW - 5400),
        ("3d", NOW - 259_200),
        ("2w", NOW - 1_209_600),
        ("2026-11-27", 1_795_734_000),
        ("2026-11-27T18:00", 1_795_798_800),
        ("2026-11-27 18:00:30", 1_795_798_830),
        ("2026-11-27T18:00Z", 1_795_802_400),
        ("2026-11-27T18:00+02:00", 1_795_795_200),
    ],
)
def test_a_moment_is_a_date_a_time_or_so_long_ago(berlin, text, at):
    assert parse_moment(text, now=NOW) == at


@pytest.mark.parametrize("text", ["", "yesterday", "3", "3 days", "-3d", "2026-13-01", "9999999999d", "0001-01-01"])
def test_anything_else_is_refused_with_examples(berlin, text):
    with pytest.raises(ValueError, match="write a date"):
        parse_moment(text, now=NOW)
