"""The request limit: GCRA, the rule the real limiters are built on."""

from __future__ import annotations

import math
from typing import NamedTuple


class Verdict(NamedTuple):
    """Whether a request is allowed; if not, the time until one is. `remaining` and `reset_s` are for headers."""

    allowed: bool
    wait_s: float
    remaining: int
    reset_s: float


class Limit:
    """A rate with a burst; a request that is refused costs nothing."""

    def __init__(self, rate_per_second: float, burst: int | None) -> None:
        self.rate_per_second = rate_per_second
        self.burst = burst or max(1, math.ceil(rate_per_second))
        self._interval = 1 / rate_per_second
        self._full_at = 0.0

    def take(self, now: float) -> Verdict:
        """Ask for one request at the monotonic time `now`."""
        full_at = max(self._full_at, now) + self._interval
        wait = full_at - now - self.burst * self._interval
        # A billionth is forgiven: rounding must not refuse a request that comes exactly on time.
        if wait > 1e-9:
            return Verdict(False, wait, 0, self._full_at - now)
        self._full_at = full_at
        return Verdict(True, 0.0, int(-wait * self.rate_per_second + 1e-9), full_at - now)


def rate_headers(limit: Limit, verdict: Verdict) -> dict[str, str]:
    """The limit as the API tells it on create, the reset as a Go duration (contract section 2)."""
    return {
        "x-ratelimit-limit-requests": str(math.floor(limit.rate_per_second * 60)),
        "x-ratelimit-remaining-requests": str(verdict.remaining),
        "x-ratelimit-reset-requests": f"{max(0, math.ceil(verdict.reset_s * 1000))}ms",
    }
