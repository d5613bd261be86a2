"""What a check of the deployment found."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple


class Verdict(enum.StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class CheckResult(NamedTuple):
    """What a check found, and what to do next; `unreachable` where nobody answered.

    `reason` is why it is so, such as a server's words. `since` is when it began, in seconds since the epoch, None where
    nobody knows. `more` is what the check found besides, each with a verdict and a next step of its own, the worst
    first.
    """

    verdict: Verdict
    message: str
    next_step: str = ""
    unreachable: bool = False
    more: tuple[CheckResult, ...] = ()
    reason: str = ""
    since: float | None = None

    @property
    def said(self) -> str:
        """What was found, with its reason, in one line."""
        return f"{self.message}: {self.reason}" if self.reason else self.message


_WORST_FIRST = (Verdict.FAIL, Verdict.WARN, Verdict.OK)


def combined(results: Iterable[CheckResult]) -> CheckResult:
    """Return one result of several: what is wrong, the worst first, else what is well in one sentence."""
    found = sorted(results, key=lambda result: _WORST_FIRST.index(result.verdict))
    wrong = [result for result in found if result.verdict is not Verdict.OK]
    if wrong:
        return wrong[0]._replace(more=tuple(wrong[1:]))
    return CheckResult(Verdict.OK, "; ".join(result.said for result in found))
