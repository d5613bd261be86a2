"""Explains a job: its state with the reason, what its rows wait for, and the next step."""

from __future__ import annotations

from config.text import printable
from ledger.job import Canary, Job, JobState
from ledger.list_reads import JobSelection
from ledger.progress import Waits
from relabel.advice import next_step
from relabel.wording import clock_time, count_of, duration, in_words, per_minute

MESSAGE_CHARS = 400
WAITING_FOR_USER = frozenset({JobState.PAUSED, JobState.HELD})
"""States of a job that waits for somebody to resume it."""


def is_idle(job: Job) -> bool:
    """Whether nothing happens to the job until somebody does something, if anything ever will."""
    return job.state.ended or job.state in WAITING_FOR_USER


def reason_of(job: Job) -> str | None:
    """Return the reason for the job's state."""
    return job.state_reason


def standing(job: Job) -> str:
    """Return the state with its reason and the next step, in one line."""
    reason = reason_of(job)
    said = f"{job.state}: {printable(reason, MESSAGE_CHARS)}" if reason else str(job.state)
    step = next_step(job)
    return f"{said.rstrip('.')}. {step}" if step else said


def waiting_for(job: Job, idle: str, *, shared_rate: float | None = None) -> str:
    """Return what a running job is waiting for, and since when no row has ended where that is long; '' for any other.

    `idle` is why no worker takes rows, '' where one does (`relabel.worker_state`); `shared_rate` the requests a minute
    that all jobs may send together.
    """
    if job.state is JobState.SUBMITTING:
        return _reading(job.selection, idle) if job.selection else "its rows are being stored"
    if job.state is not JobState.RUNNING:
        return ""
    waiting = _waiting_for(job, idle, shared_rate)
    return "; ".join(said for said in (canary_under_way(job), waiting, standstill_of(job)) if said)


def _reading(selection: JobSelection, idle: str) -> str:
    """Return how far the reading of the list is, and what it waits for."""
    found = selection.found
    if idle:
        return f"the list of completions is to be read; waiting, as {idle}"
    if selection.is_read:
        return f"its rows are being stored ({found.matched:,} completions match)"
    share = f" ({found.share:.0%} of the time span)" if found.share else ""
    read = f"the list of completions is being read: {found.read:,} read{share}, {found.matched:,} match"
    if selection.idle_since is not None:
        return f"{read.replace('is being read', 'is to be read on')}; no worker reads it"
    return f"{read}; tried again: {printable(found.waits_for, MESSAGE_CHARS)}" if found.waits_for else read


def selected_so_far(selection: JobSelection) -> str:
    """Return what workers have found in the list of completions for a plan."""
    found = selection.found
    left_out = f", {sum(found.left_out.values()):,} left out" if found.left_out else ""
    so_far = "" if selection.is_read else " so far"
    return f"{found.matched:,} of {count_of(found.read, 'completion')} read{so_far}{left_out}"


def canary_under_way(job: Job) -> str:
    """Return how far the canary of a running job is, for which its other rows wait; '' where they do not."""
    if job.canary is not Canary.RUNNING or job.spec.canary == job.spec.rows:
        return ""
    return f"canary first: {job.canary_ended:,} of {count_of(job.spec.canary, 'row')} read back"


def standstill_of(job: Job) -> str:
    """Return since when no row of a running job has ended, with the last error; '' where rows end."""
    if job.standstill is None:
        return ""
    since, seconds, error = job.standstill
    said = f"no row ended for {in_words(seconds)} (since {clock_time(since, age_s=seconds)})"
    if error is None:
        return said
    what = f"last answer {error.status}" if error.status else f"last request failed: {printable(error.code)}"
    return f"{said}; {what} '{printable(error.message, MESSAGE_CHARS)}'"


def _waiting_for(job: Job, idle: str, shared_rate: float | None) -> str:
    waits = job.waits
    if idle:
        return f"waiting, as {idle}"
    if waits.paused_s > 0:
        said = [f"{paused_because(waits.paused_by)} for {duration(max(1.0, waits.paused_s))}"]
    else:
        said = [f"waiting for {_rate(job, shared_rate)}"] if waits.for_rate else []
        if waits.backing_off:
            said.append(f"backing off after errors ({count_of(waits.backing_off, 'row')})")
        if waits.blocked:
            said.append(_blocked(waits))
        if not said and waits.in_flight:
            said.append(f"waiting for the API ({count_of(waits.in_flight, 'request')} under way)")
    if slowed := _slowed_down(job):
        said.append(slowed)
    if not said and job.standstill:
        return ""
    return ", ".join(said) or ("at work" if job.rows_per_s > 0 else "waiting for a free worker")


def paused_because(paused_by: str) -> str:
    """Return why nothing may be sent for a while (see `ledger.progress.Waits`)."""
    return {
        "failing": "the API is failing; all rows wait",
        "used_up": "the API says that its rate is used up; all rows wait",
    }.get(paused_by, "paused by a 429")


def slowed_because(slowed_by: str) -> str:
    """Return why the shared rate is lower than asked for, '' where it is not (see `ledger.progress.Waits`)."""
    return {
        "": "",
        "failing": "to one request a second until the API works again",
        "headers": "by what the API says is left",
    }.get(slowed_by, "by 429s")


def _blocked(waits: Waits) -> str:
    """Return which job has to be done with the completions of some rows first."""
    whose = f"job {waits.blocked_by}" if waits.blocked_by else "another worker"
    return f"waiting for a request of {whose} that may still be running ({count_of(waits.blocked, 'row')})"


def _slowed_down(job: Job) -> str:
    """Return how far the shared rate corrected itself, where it holds the job back."""
    waits = job.waits
    own = job.rate_per_minute
    if not waits.slowed_by or waits.slowed_by == "failing" or (own is not None and own <= waits.rate_per_minute):
        return ""
    rate, asked = (per_minute(number) for number in (waits.rate_per_minute, waits.asked_per_minute))
    return f"slowed down to {rate} {slowed_because(waits.slowed_by)} (configured {asked})"


def _rate(job: Job, shared: float | None) -> str:
    waits = job.waits
    if _slowed_down(job):
        return "the shared rate"
    rates = [rate for rate in (job.rate_per_minute, waits.asked_per_minute or shared) if rate]
    return f"the rate of {per_minute(min(rates))}" if rates else "the shared rate"
