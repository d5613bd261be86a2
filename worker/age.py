"""Reads a completion's age off its id: a hint for messages, never a reason to skip a row."""

from __future__ import annotations

import re
import string

EPOCH = 1_576_800_000
"""Zero of the time in an id. INFERRED, exact for 475 of 475 recorded ids (contract section 4)."""
KEPT_DAYS = 30
"""Days that a completion stays stored (contract section 1, "What is stored, and how long")."""

_DIGITS = {digit: value for value, digit in enumerate(string.digits + string.ascii_uppercase + string.ascii_lowercase)}
_ID = re.compile(r"chatcmpl-([0-9A-Za-z]{5})[0-9A-Za-z]{24}")


def created_at(completion_id: str) -> float | None:
    """Give the seconds since the epoch at which the completion was made; None where the id does not tell."""
    match = _ID.fullmatch(completion_id)
    if match is None:
        return None
    seconds = 0
    for digit in match[1]:
        seconds = seconds * 62 + _DIGITS[digit]
    return float(EPOCH + seconds)


def missing_hint(completion_id: str, now: float) -> str:
    """Say what the id's age makes likely about a completion that was not found; '' where it tells nothing."""
    created = created_at(completion_id)
    if created is None or created > now:
        return ""
    days = (now - created) / 86_400
    if days > KEPT_DAYS:
        return f" (made {days:.0f} days ago by its id; completions are kept {KEPT_DAYS} days)"
    if now - created < 60:
        return " (made less than a minute ago by its id; it may not be visible yet)"
    return ""
