"""How a moment is written for programs."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_time(at: float) -> str:
    """Give a moment, seconds since the epoch, as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
