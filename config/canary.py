"""Reads the share of a job's rows that is carried out first and read back, as `--canary` writes it."""

from __future__ import annotations

import math
import re
from typing import NamedTuple, Self

LEAST_ROWS, MOST_ROWS = 20, 1_000
"""Rows of a canary: with fewer, most faults of the rows pass it; with more, it delays the others for nothing."""


class CanaryShare(NamedTuple):
    """A share of the rows, or a number of them."""

    most: float
    is_share: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `1%` or `50`; raise ValueError where it is neither."""
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(%?)", text.strip())
        if match is None or (not match[2] and "." in match[1]):
            raise ValueError(text)
        most = float(match[1])
        if most <= 0 or (match[2] and most > 100):
            raise ValueError(text)
        return cls(most / 100 if match[2] else most, bool(match[2]))

    def rows_of(self, total: int) -> int:
        """Return the rows of the canary of a job: all of them where there are fewer than `LEAST_ROWS`."""
        asked = math.ceil(round(self.most * total, 6)) if self.is_share else int(self.most)
        return min(total, max(LEAST_ROWS, min(asked, MOST_ROWS)))
