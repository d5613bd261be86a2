"""Reads the limit of failures of a job, as `--max-failures` and the nightly run's setting write it."""

from __future__ import annotations

import re
from typing import NamedTuple, Self

NO_LIMIT = "none"
"""What is written to never pause a job because of its failures."""
LEAST_SETTLED = 100
"""Rows that have to end before the failures among them say anything."""


class FailureLimit(NamedTuple):
    """The failures that a job may have: a share of the rows that have ended, or a number."""

    most: float
    is_share: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `5%` or `20`; raise ValueError where it is neither."""
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(%?)", text.strip())
        if match is None or (match[2] and float(match[1]) > 100) or (not match[2] and "." in match[1]):
            raise ValueError(text)
        return cls(float(match[1]) / 100 if match[2] else float(match[1]), bool(match[2]))

    def is_passed(self, failed: int, settled: int) -> bool:
        """Return whether so many failures among so many rows are too many."""
        return settled >= LEAST_SETTLED and failed > self.most * (settled if self.is_share else 1)


def failure_limit(text: str) -> str:
    """Return a limit that can be read, or `none`, without space around it; raise ValueError where it is neither."""
    text = text.strip()
    try:
        if text != NO_LIMIT:
            FailureLimit.parse(text)
    except ValueError:
        raise ValueError("must be a share of the rows like 5%, a number of rows, or none") from None
    return text
