"""A moment as people write it: a date, a date with a time, or how long ago it was."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(s|m|h|d|w)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
EXAMPLES = "a date (2026-11-27), a time (2026-11-27T18:00, with Z for UTC), or how long ago it was (30m, 12h, 3d)"


def parse_moment(text: str, *, now: float, zone: tzinfo | None = None) -> float:
    """Return a moment, in seconds since the epoch. A time without a zone is in this one, or in that of this machine.

    Raises:
        ValueError: it is none.

    """
    if (ago := parse_duration(text)) is not None:
        return now - ago
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{text!r} is no moment; write {EXAMPLES}") from error


def parse_duration(text: str) -> float | None:
    """Return the seconds of a text such as `3d`; None where it is no duration."""
    found = _DURATION.fullmatch(text.strip())
    return None if found is None else float(found[1]) * _SECONDS[found[2]]
