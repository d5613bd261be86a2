"""The one notification of a run that needs attention."""

from __future__ import annotations

from itertools import islice

from ledger.clock import utc_time
from nightly.state import FileState, Night
from notify.outbox import HeldFile, NightFacts, Notice
from notify.payload import night_notice

MOST_FILES = 10
"""Held files that a notification names."""


def attention_notice(night: Night, now: float) -> Notice:
    """Return the notification of a run of which files are held; `now` is in seconds since the epoch."""
    held = night.of(FileState.HELD)
    facts = NightFacts(
        timestamp=utc_time(now),
        date=night.date,
        files=night.files,
        jobs=night.jobs,
        rejected=night.rejected,
        held_files=len(held),
        held=[HeldFile(file.name, file.job_id or "", file.reason) for file in islice(held, MOST_FILES)],
    )
    return night_notice(facts, now)
