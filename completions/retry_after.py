"""Computes the wait before a retry: the server's Retry-After if there is one, else the official SDK's backoff."""

from __future__ import annotations

import datetime as dt
import email.utils
import math
import random
import time
from collections.abc import Callable, Mapping

FIRST_DELAY_S = 0.5
"""Source: openai-python `INITIAL_RETRY_DELAY` (contract section 2)."""
LONGEST_DELAY_S = 8.0
"""Source: openai-python `MAX_RETRY_DELAY` (contract section 2)."""
LONGEST_RETRY_AFTER_S = 120.0
"""Longest Retry-After that is followed. Source: openai-python's cap on Retry-After (contract section 2)."""


def backoff(failures: int, *, jitter: Callable[[], float] = random.random) -> float:
    """Return the seconds to wait after so many failures (1 or more): min(0.5 * 2^n, 8), less up to a quarter.

    Source: openai-python `_calculate_retry_timeout` (contract section 2).
    """
    delay: float = min(FIRST_DELAY_S * 2.0 ** min(failures - 1, 10), LONGEST_DELAY_S)
    return delay * (1 - 0.25 * jitter())


def retry_after(headers: Mapping[str, str], *, now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that the server asks for, capped at 120; None where it sends nothing usable.

    `retry-after-ms` goes first, then `retry-after` in seconds or as an HTTP date (openai-python
    `_parse_retry_after_header`, contract section 2). Zero or a moment in the past is not usable, as in the SDK:
    taken literally, a 429 with it would be followed by the next request at once, for ever.
    """
    millis = _number(headers.get("retry-after-ms"))
    if millis is not None:
        return _bounded(millis / 1000)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is None and value is not None:
        seconds = _seconds_until(value, now())
    return _bounded(seconds)


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def _seconds_until(date: str, now: float) -> float | None:
    try:
        parsed = email.utils.parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    if parsed.tzinfo is None:  # HTTP dates are in GMT, also the old form without a zone (RFC 9110, 5.6.7)
        parsed = parsed.replace(tzinfo=dt.UTC)
    seconds = parsed.timestamp() - now
    return seconds if seconds > 0 else None


def _bounded(seconds: float | None) -> float | None:
    return min(seconds, LONGEST_RETRY_AFTER_S) if seconds else None
