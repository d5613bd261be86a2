"""Counts the completions that a job may find gone, as they are kept for 30 days: by the age in their ids, a hint."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from typing import NamedTuple

from completions.age import KEPT_DAYS, created_at
from relabel.wording import count_of

OLDEST_FIRST_HINT = "--oldest-first takes the oldest first"
"""What helps where completions may be gone before a job of a file gets to them."""
_MINUTES = KEPT_DAYS * 24 * 60


class Expiry(NamedTuple):
    """Completions that are past 30 days already, that reach them before a job's estimated end, and of unknown age."""

    expired: int = 0
    expiring: int = 0
    unknown: int = 0


class MinutesLeft:
    """How many completions are kept for how many more minutes; memory does not depend on their number.

    `now` is in seconds since the epoch. A minute that has begun counts whole.
    """

    def __init__(self, now: float) -> None:
        self._now = now
        self._numbers = array("Q", bytes(8 * (_MINUTES + 1)))  # from those that are past 30 days to the newest
        self._unknown = 0

    def add(self, completion_ids: Iterable[str]) -> None:
        """Count these completions, too."""
        numbers, kept_s = self._numbers, KEPT_DAYS * 86_400 - self._now
        for completion_id in completion_ids:
            created = created_at(completion_id)
            if created is None:
                self._unknown += 1
            else:
                numbers[min(max(0, math.ceil((created + kept_s) / 60)), _MINUTES)] += 1

    def expiry(self, seconds: float) -> Expiry:
        """Return what a job meets that ends in so many seconds."""
        end = math.ceil(min(seconds / 60, _MINUTES))
        return Expiry(self._numbers[0], sum(self._numbers[1 : end + 1]), self._unknown)


def expiry_of(completion_ids: Iterable[str], *, now: float, seconds: float) -> Expiry:
    """Return what a job of these completions meets that starts `now` and ends in so many seconds."""
    left = MinutesLeft(now)
    left.add(completion_ids)
    return left.expiry(seconds)


def expiry_note(expiry: Expiry, completions: int, *, hint: str = "") -> str:
    """Return what to know of it before the job starts, '' where there is nothing; `hint` says what helps."""
    of, said = count_of(completions, "completion"), []
    if number := expiry.expiring:
        reach = "reaches" if number == 1 else "reach"
        end = f"before the estimated end ({hint})" if hint else "before the estimated end"
        said.append(f"{number:,} of {of} {reach} {KEPT_DAYS} days {end}.")
    if number := expiry.expired:
        are, ids = ("is", "its id") if number == 1 else ("are", "their ids")
        said.append(f"{number:,} of {of} {are} older than {KEPT_DAYS} days by {ids}, and may be gone.")
    return " ".join(said)
