"""Writes numbers, durations and rates as people read them; explanations and the terminal use the same words."""

from __future__ import annotations

from datetime import UTC, datetime

_WORDS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_UNITS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def count_of(number: int, word: str) -> str:
    """Return a number of things: `1 row`, `2,000 rows`."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def duration(seconds: float) -> str:
    """Return a time span in its two greatest units: `4 s`, `2 h 5 min`."""
    rest = round(seconds)
    if rest < 60:
        return f"{rest} s"
    size, unit, small_size, small_unit = next(units for units in _UNITS if rest >= units[0])
    return f"{rest // size} {unit} {rest % size // small_size} {small_unit}"


def in_words(seconds: float) -> str:
    """Return a time span in its greatest unit, as a sentence has it: `4 minutes`, `1 day`."""
    size, word = next((each for each in _WORDS if seconds >= each[0]), _WORDS[-1])
    return count_of(max(0, int(seconds // size)), word)


def per_minute(rate: float) -> str:
    """Return a rate in requests a minute: `600/min`."""
    return f"{rate:,.0f}/min" if rate >= 1000 else f"{rate:g}/min"


def day_of(at: float) -> str:
    """Return the day of a moment, in seconds since the epoch, in the reader's time zone."""
    return datetime.fromtimestamp(at, tz=UTC).astimezone().strftime("%Y-%m-%d")
