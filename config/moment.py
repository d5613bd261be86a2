"""A moment as people write it: a date, a date with a time, or how long ago it was."""

from __future__ import annotations

import re
from datetime import datetime

_AGO = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(s|m|h|d|w)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
EXAMPLES = "a date (2026-11-27), a time (2026-11-27T18:00, with Z for UTC), or how long ago it was (30m, 12h, 3d)"


def parse_moment(text: str, *, now: float) -> float:
    """Return a moment, in seconds since the epoch. A time without a zone is in that of this machine.

    Raises:
        ValueError: it is none.

    """
    if ago := _AGO.fullmatch(text.strip()):
        return now - float(ago[1]) * _SECONDS[ago[2]]
    try:
        return datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{text!r} is no moment; write {EXAMPLES}") from error
