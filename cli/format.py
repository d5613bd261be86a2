"""Writes counts, shares and times for the terminal (`relabel.wording` has what explanations use, too)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ledger.job import Counts
from ledger.row import OUTCOMES


def outcome_counts(counts: Counts, *, pending: bool = False) -> str:
    """Return the rows of each outcome that occurs; `updated` always, `pending` where it is asked for."""
    numbers = {word: getattr(counts, word) for word in (*OUTCOMES, *(("pending",) if pending else ()))}
    return "  ".join(f"{word} {number:,}" for word, number in numbers.items() if number or word == "updated")


def share(counts: Counts) -> float:
    """Return the settled part of a job's rows, 0 to 1; a job without rows is done."""
    return counts.settled / counts.total if counts.total else 1.0


def percent(counts: Counts) -> str:
    """Return the settled rows in percent, rounded down, so that 100 % is the end."""
    return f"{int(share(counts) * 100)}%"


def at_lines(lines: Sequence[int]) -> str:
    """Return the lines of a file by number: `line 3`, `lines 3, 4`."""
    return f"{'line' if len(lines) == 1 else 'lines'} {', '.join(map(str, lines))}"


def rows_per_second(rate: float) -> str:
    """Return a pace with as many digits as are significant."""
    return f"{rate:,.0f} rows/s" if rate >= 100 else f"{rate:.1f} rows/s"


def local_time(at: float) -> str:
    """Return a moment, in seconds since the epoch, in the reader's time zone."""
    return datetime.fromtimestamp(at, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
