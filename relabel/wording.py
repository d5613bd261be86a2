"""Writes numbers, durations and rates as people read them; explanations and the terminal use the same words."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DAY_S = 86_400
_WORDS = ((_DAY_S, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_UNITS = ((_DAY_S, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
_OPTION = re.compile(r"`relabel [^`]*`|(?<![\w-])--([a-z]+(?:-[a-z]+)*)\b")
"""A whole command, which is left as it is, or an option."""


def in_words_of_programs(text: str) -> str:
    """Return a sentence with options as programs name them, `id_column` for `--id-column`; commands stay commands."""
    return _OPTION.sub(lambda found: found[1].replace("-", "_") if found[1] else found[0], text)


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
    """Return a rate in requests a minute, rounded to what a person can use: `600/min`, `33.3/min`, `0.25/min`."""
    if rate >= 999.95:
        return f"{rate:,.0f}/min"
    return f"{round(rate, 1):g}/min" if rate >= 1 else f"{rate:.2g}/min"


def local_time(at: float) -> str:
    """Return a moment, in seconds since the epoch, in the reader's time zone, which is named."""
    return _local(at).strftime("%Y-%m-%d %H:%M:%S %Z")


def local_minute(at: float) -> str:
    """Return a moment to the minute, as `local_time` does."""
    return _local(at).strftime("%Y-%m-%d %H:%M %Z")


def clock_time(at: float, *, age_s: float) -> str:
    """Return a moment so long ago: its time of day and the zone, with its date where a day has passed."""
    return _local(at).strftime("%H:%M:%S %Z") if age_s < _DAY_S else local_time(at)


def size(number: int) -> str:
    """Return a number of bytes in a unit of which it has at least one: `512 MiB`, `1.5 GiB`."""
    value = float(number)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:,.3g} TiB" if value < 100 else f"{value:,.0f} TiB"


def day_of(at: float) -> str:
    """Return the day of a moment, in seconds since the epoch, in the reader's time zone."""
    return _local(at).strftime("%Y-%m-%d")


def _local(at: float) -> datetime:
    return datetime.fromtimestamp(at, tz=UTC).astimezone()
