"""Finds what needs somebody: jobs that wait, are lost or stand still, and whatever else a check finds wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ledger.job import Job
from ledger.overview import read_overview
from relabel.check_result import CheckResult, Verdict
from relabel.health_jobs import judge_job
from relabel.jobs import JobSeen
from relabel.ledger_age import judge_losses, read_ledger_age
from relabel.session import Session
from relabel.worker_state import read_idle

MOST_JOBS = 50
"""Jobs that are named of either sort, the worst and then the latest first; the others are counted."""
_LEFT_OUT = frozenset({"jobs", "workers-key"})
"""The jobs are looked at one by one; that no worker asked the API lately is no fault where nothing is to be sent."""


class WaitingJob(NamedTuple):
    """A job that needs somebody, what is wrong with it, and since when, in seconds since the epoch."""

    job: Job
    result: CheckResult
    since: float


class Attention(NamedTuple):
    """What needs somebody, what goes on by itself, and what each check found; of each sort so many are not shown."""

    waiting: list[WaitingJob]
    waiting_more: int
    going_on: list[JobSeen]
    going_on_more: int
    checks: dict[str, CheckResult]

    @property
    def wrong(self) -> dict[str, list[CheckResult]]:
        """What checks found wrong, beside the jobs, by the name of the check."""
        found = {
            name: [each for each in (result, *result.more) if each.verdict is not Verdict.OK]
            for name, result in self.checks.items()
        }
        return {name: results for name, results in found.items() if results}

    @property
    def well(self) -> bool:
        """Whether nothing needs anybody."""
        return not self.waiting and not self.wrong


async def find_attention(session: Session, health: Mapping[str, CheckResult]) -> Attention:
    """Return what needs somebody just now. What it costs depends on the jobs that have not ended.

    `health` is what the checks of a server (`relabel.health.SERVED_CHECKS`) found.
    """
    ledger = session.ledger
    overview, idle = await read_overview(ledger.redis), await read_idle(ledger)
    judged = [(seen.job, judge_job(seen.job, idle, overview.now)) for seen in overview.jobs]
    waiting = [WaitingJob(job, result, _since(job)) for job, result in judged if result]
    waiting.sort(key=lambda each: (each.result.verdict is not Verdict.FAIL, -each.since))
    going_on = [JobSeen(job, idle, []) for job, result in reversed(judged) if result is None and not job.state.ended]
    checks = {name: result for name, result in health.items() if name not in _LEFT_OUT}
    checks["losses"] = judge_losses(await read_ledger_age(ledger))
    return Attention(
        waiting[:MOST_JOBS], len(waiting[MOST_JOBS:]), going_on[:MOST_JOBS], len(going_on[MOST_JOBS:]), checks
    )


def _since(job: Job) -> float:
    """Return since when a job needs somebody."""
    unread_since = job.selection.idle_since if job.selection else None
    return job.standstill.since if job.standstill else unread_since or job.paused_at or job.held_at or job.submitted_at
