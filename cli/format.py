"""How numbers and times are shown to people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ledger.job import Counts

_ENDED = ("updated", "unchanged", "failed", "rejected", "drifted", "cancelled")

_UNITS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def outcome_counts(counts: Counts, *, pending: bool = False) -> str:
    """Give the rows of each outcome that occurs; `updated` always, `pending` where it is asked for."""
    numbers = {word: getattr(counts, word) for word in (*_ENDED, *(("pending",) if pending else ()))}
    return "  ".join(f"{word} {number:,}" for word, number in numbers.items() if number or word == "updated")


def share(counts: Counts) -> float:
    """Give the settled part of a job's rows, 0 to 1; a job without rows is done."""
    return counts.settled / counts.total if counts.total else 1.0


def percent(counts: Counts) -> str:
    """Give the settled rows in percent, rounded down, so that 100 % is the end."""
    return f"{int(share(counts) * 100)}%"


def count_of(number: int, word: str) -> str:
    """Count things: `1 row`, `2,000 rows`."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def at_lines(lines: Sequence[int]) -> str:
    """Name lines of a file: `line 3`, `lines 3, 4`."""
    return f"{'line' if len(lines) == 1 else 'lines'} {', '.join(map(str, lines))}"


def duration(seconds: float) -> str:
    """Give a time span in its two greatest units."""
    rest = round(seconds)
    if rest < 60:
        return f"{rest} s"
    size, unit, small_size, small_unit = next(units for units in _UNITS if rest >= units[0])
    return f"{rest // size} {unit} {rest % size // small_size} {small_unit}"


def per_minute(rate: float) -> str:
    """Give a rate as people say it."""
    return f"{rate:,.0f}/min" if rate >= 1000 else f"{rate:g}/min"


def rows_per_second(rate: float) -> str:
    """Give a pace with as many digits as mean something."""
    return f"{rate:,.0f} rows/s" if rate >= 100 else f"{rate:.1f} rows/s"


def local_time(at: float) -> str:
    """Give a moment in the reader's time zone."""
    return datetime.fromtimestamp(at, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
