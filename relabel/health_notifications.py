"""Checks that notifications reach the webhook."""

from __future__ import annotations

from ledger.ledger import Ledger
from notify.outbox import Backlog, Outbox
from relabel.check_result import CheckResult, Verdict
from relabel.wording import count_of, in_words

LATE_S, TOO_LATE_S = 60.0, 3600.0
"""Age of the oldest notification from which the webhook is named, and from which it fails."""
SEE_LOG = "look at the workers' log for its answer, and correct RELABEL_NOTIFY__URL; they are tried for 24 hours"


async def check_notifications(ledger: Ledger) -> CheckResult:
    """Return how many notifications wait for the webhook to take them, and for how long."""
    return judge_backlog(await Outbox(ledger.redis).backlog(), await ledger.jobs.now())


def judge_backlog(backlog: Backlog, now: float) -> CheckResult:
    """Return whether the oldest notification waits for too long."""
    if not backlog.number:
        return CheckResult(Verdict.OK, "none waits")
    age_s = now - backlog.oldest_at
    said = f"{count_of(backlog.number, 'notification')} waiting for the webhook, for up to {in_words(age_s)}"
    if age_s < LATE_S:
        return CheckResult(Verdict.OK, said)
    return CheckResult(Verdict.FAIL if age_s > TOO_LATE_S else Verdict.WARN, said, SEE_LOG)
