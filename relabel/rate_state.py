"""Explains why rows wait for the shared rate, or are slow by it, in the same words at every door."""

from __future__ import annotations

from ratelimit.limits import RateStatus
from relabel.explain import paused_because, slowed_because
from relabel.wording import duration, in_words, per_minute

FAILING_S = 30.0
"""Time without any success from which the API fails; a row's request is tried again for seconds."""


def rate_warnings(status: RateStatus, *, failing_s: float) -> tuple[str, ...]:
    """Return why rows wait or are slow, in few clauses; nothing where they go at the rate that was asked for.

    `failing_s` is for how many seconds every read or every write has failed.
    """
    if api_fails(status, failing_s=failing_s):
        return (_failing(status, failing_s),)
    warnings = []
    if status.paused_s > 0:
        warnings.append(f"{paused_because(status.paused_by)} for {duration(max(1.0, status.paused_s))}")
    if status.slowed_by:
        rate, asked = (per_minute(each * 60) for each in (status.rate, status.asked))
        warnings.append(f"the rate is slowed down to {rate} {slowed_because(status.slowed_by)} (configured {asked})")
    return tuple(warnings)


def api_fails(status: RateStatus, *, failing_s: float) -> bool:
    """Return whether rows wait because the API fails; `failing_s` as above."""
    return "failing" in {status.slowed_by, status.paused_by} or failing_s > FAILING_S


def _failing(status: RateStatus, failing_s: float) -> str:
    since = "the API failed when it was used last"
    if failing_s > FAILING_S:
        since = f"the API has failed for {in_words(failing_s)}"
    rate = f"; the rate is slowed down {slowed_because('failing')}" if status.slowed_by == "failing" else ""
    return f"{since}; all rows wait{rate}" if status.paused_s > 0 else f"{since}{rate}"
