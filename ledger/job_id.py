"""Makes ids of jobs, and reads when a job of an id was submitted."""

from __future__ import annotations

import calendar
import secrets
import time


def submitted_at(job_id: str) -> float | None:
    """Return when a job of this id was submitted, to the second, in seconds since the epoch; None where it is no id."""
    try:
        return float(calendar.timegm(time.strptime(job_id[:15], "%Y%m%d-%H%M%S")))
    except ValueError:
        return None


def new_job_id() -> str:
    """Return a job id that sorts by time: date, time and eight random hex digits. `JobStore.create` refuses one twice.

    Ids of release one end in four digits; nothing that takes an id depends on its form.
    """
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(4)
