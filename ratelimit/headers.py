"""Reads the API's statement of its own limit: the `x-ratelimit-*-requests` headers, where an answer carries them.

None was ever seen on the update endpoint (contract section 2), so their absence must cost next to nothing.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

LEFT, RENEWED_IN, LIMIT = (f"x-ratelimit-{what}-requests" for what in ("remaining", "reset", "limit"))
"""Source: contract section 2."""
LONGEST_S = 60.0
"""Longest that one answer counts: limits by the day renew in hours, and others may hand requests back."""
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_PART = r"(?:\d+(?:\.\d*)?|\.\d+)(?:ms|us|µs|μs|ns|h|m|s)"
_DURATION = re.compile(rf"(?:{_PART})+", re.ASCII)
_PARTS = re.compile(r"([\d.]+)(ms|us|µs|μs|ns|h|m|s)", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)
_LONGEST_TEXT = 40


class Remaining(NamedTuple):
    """Requests that are left, and the seconds until they are renewed."""

    left: float
    renewed_in_s: float


def parse_duration(text: str) -> float | None:
    """Read a Go duration such as `6m0s`, `12ms` or `2m59.56s`, or bare seconds; None where it is neither or negative.

    `m` and `ms` are told apart (parse bugs of others: contract section 2).
    """
    text = text.strip()
    if len(text) > _LONGEST_TEXT:
        return None
    if _NUMBER.fullmatch(text):
        return float(text)
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PARTS.findall(text))


def parse_remaining(headers: Mapping[str, str]) -> Remaining | None:
    """Read what is left and until when; None where that is missing, negative (Azure) or contradicts itself."""
    left = parse_duration(headers.get(LEFT, ""))
    renewed_in = parse_duration(headers.get(RENEWED_IN, ""))
    limit = parse_duration(headers[LIMIT]) if LIMIT in headers else math.inf
    if left is None or not renewed_in or limit is None or left > limit:
        return None
    return Remaining(left, renewed_in)


class RateLimitHeaders:
    """Keeps the latest statement that this process received, until the limiter takes it.

    That nothing is left counts only once something was: Azure says 0 of limits that it does not have (contract
    section 2, openai/openai-dotnet#838).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._latest: Remaining | None = None
        self._observed_at = 0.0
        self._counts_down = False

    def observe(self, headers: Mapping[str, str]) -> None:
        """Read an answer's headers."""
        if LEFT not in headers:
            return
        remaining = parse_remaining(headers)
        if remaining is None:
            return
        self._counts_down = self._counts_down or remaining.left > 0
        if self._counts_down:
            self._latest, self._observed_at = remaining, self._clock()

    def take(self) -> Remaining | None:
        """Return what was observed since the last call, as of now; None where there is nothing new."""
        latest, self._latest = self._latest, None
        if latest is None:
            return None
        renewed_in = min(latest.renewed_in_s, LONGEST_S) - (self._clock() - self._observed_at)
        return latest._replace(renewed_in_s=renewed_in) if renewed_in > 0 else None
