"""Checks what workers saw of the API lately: whether it fails them, and how far their shared rate is slowed down."""

from __future__ import annotations

from collections.abc import Iterable

from config.text import printable
from ledger.ledger import Ledger
from ratelimit.shared_rate import LimitSeen, limits_in_use
from relabel.check_result import CheckResult, Verdict, combined
from relabel.rate_state import FAILING_S, api_fails, rate_warnings

NAME_CHARS = 100
ROWS_WAIT = "see the check `api` and the provider's status page; pause the jobs before 15 minutes, when rows fail"
SEE_RATE = "`relabel rate` shows it; see who else uses the key, or set a rate that the API allows"


async def check_rate(ledger: Ledger) -> CheckResult:
    """Return what the ledger knows of each limit that workers use: failing since, paused, slowed down to."""
    return combined(judge_limits(await limits_in_use(ledger.redis), await ledger.jobs.now()))


def judge_limits(limits: Iterable[LimitSeen], now: float) -> list[CheckResult]:
    """Return what is wrong with each limit, or that nothing is; `now` is in seconds since the epoch."""
    found = []
    for seen in limits:
        said = "; ".join(rate_warnings(seen.status, failing_s=seen.failing_s))
        if said:
            verdict = Verdict.FAIL if seen.failing_s > FAILING_S else Verdict.WARN
            then = ROWS_WAIT if api_fails(seen.status, failing_s=seen.failing_s) else SEE_RATE
            since = now - seen.failing_s if seen.failing_s > FAILING_S else seen.slowed_at
            found.append(CheckResult(verdict, f"{printable(seen.endpoint, NAME_CHARS)}: {said}", then, since=since))
    return found or [CheckResult(Verdict.OK, "as asked for; the API did not fail the workers lately")]
