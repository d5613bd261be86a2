"""What the command's exit codes mean; scripts rely on them."""

from __future__ import annotations

from ledger.job import Job, JobState

DONE = 0
"""All rows updated or unchanged; or the verb did what it says."""
SOME_ROWS_FAILED = 1
"""Some rows failed, were rejected or had drifted."""
NOTHING_FOUND = 1
"""`select`: no completion matches."""
NOTHING_KNOWN = 1
"""`history`: nothing is known of this id."""
WRONG_USE = 2
"""Wrong use, wrong settings or unreadable input."""
NOT_FINISHED = 3
"""The job is paused, held or cancelled, or its state is lost."""
UNREACHABLE = 4
"""Redis or the API cannot be reached."""
INTERRUPTED = 130
"""Interrupted by Ctrl-C or SIGTERM; the job can be resumed."""


def exit_code_of(job: Job) -> int:
    """Return the exit code for the state of the job."""
    if job.state is not JobState.FINISHED:
        return NOT_FINISHED
    counts = job.counts
    return SOME_ROWS_FAILED if counts.failed or counts.rejected or counts.drifted else DONE
