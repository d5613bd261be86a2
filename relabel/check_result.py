"""What a check of the deployment found."""

from __future__ import annotations

import enum
from typing import NamedTuple


class Verdict(enum.StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class CheckResult(NamedTuple):
    """What a check found, and what to do next; `unreachable` where nobody answered."""

    verdict: Verdict
    message: str
    next_step: str = ""
    unreachable: bool = False
