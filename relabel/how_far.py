"""How far a job is and how its rows stand, in the same words at every door."""

from __future__ import annotations

from ledger.job import Counts, Job
from ledger.job_spec import Kind
from ledger.row import OUTCOMES, Outcome
from relabel.wording import count_of, duration

_AIMS = {Kind.PLAN: Outcome.WOULD_CHANGE, Kind.VERIFY: Outcome.UNCHANGED}


def outcome_counts(counts: Counts, *, kind: Kind = Kind.FILE, pending: bool = False) -> str:
    """Return the rows of each outcome that occurs: first what the kind of job is for, last `pending` if asked for."""
    aim = _AIMS.get(kind, Outcome.UPDATED).word
    words = dict.fromkeys((aim, *OUTCOMES, *(("pending",) if pending else ())))
    numbers = {word: getattr(counts, word) for word in words}
    return "  ".join(f"{outcome_words(word)} {number:,}" for word, number in numbers.items() if number or word == aim)


def outcome_words(outcome: str) -> str:
    """Return an outcome as a sentence has it: `would change`."""
    return outcome.replace("_", " ")


def share(counts: Counts) -> float:
    """Return the part of a job's rows that was carried out, 0 to 1; a job without rows is done."""
    return counts.carried_out / counts.total if counts.total else 1.0


def how_far(job: Job) -> str:
    """Return how far a job is: `25%, 500 of 2,000 rows`, and while it runs its pace and the time that is left.

    The percentage is rounded down, so that 100 % is the end.
    """
    counts = job.counts
    parts = [f"{int(share(counts) * 100)}%", f"{counts.carried_out:,} of {count_of(counts.total, 'row')}"]
    if job.eta_s is not None:
        pace = job.rows_per_s
        parts.append(f"{pace:,.0f} rows/s" if pace >= 100 else f"{pace:.1f} rows/s")
        parts.append(f"{duration(job.eta_s)} left")
    return ", ".join(parts)
