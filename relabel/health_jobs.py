"""Checks the jobs: which are lost, which wait for somebody, and which run without any row coming to its end."""

from __future__ import annotations

from collections.abc import Sequence

from config.text import printable
from ledger.job import Job, JobState
from ledger.ledger import Ledger
from ledger.overview import read_overview
from relabel.advice import BY_API, next_step
from relabel.check_result import CheckResult, Verdict, combined
from relabel.control import INTERRUPTED_CODE, PAUSED_CODE
from relabel.explain import MESSAGE_CHARS, reason_of, waiting_for
from relabel.ledger_age import judge_losses, read_ledger_age
from relabel.wording import count_of, in_words
from relabel.worker_state import read_idle

STUCK_WARN_S, STUCK_FAIL_S = 180.0, 900.0
"""Time without a row's end from which a running job is named, and from which it fails, as in RelabelNoProgress."""
MOST_NAMED = 10
"""Jobs that are named, the worst first; the others are counted."""
START_WORKERS = "start a worker, or see what else fails or warns here; the list is then read by itself"
READ_BY_WORKERS = (
    "see that the workers use the same broker as this machine and are of this release, and whether their log names the "
    "job; one that is busy with other jobs reads the list once it has a free child"
)
BY_PEOPLE = frozenset({PAUSED_CODE, INTERRUPTED_CODE})
"""Reason codes of jobs that somebody paused."""


async def check_jobs(ledger: Ledger) -> CheckResult:
    """Return which jobs were lost within a day, are paused, held or stand still, with the reason and since when."""
    overview = await read_overview(ledger.redis)
    idle = await read_idle(ledger)
    found = judge_jobs([seen.job for seen in overview.jobs], idle=idle, now=overview.now)
    return combined([judge_losses(await read_ledger_age(ledger)), *found])


def judge_jobs(jobs: Sequence[Job], *, idle: str, now: float) -> list[CheckResult]:
    """Return what is wrong with the active jobs, or how many there are; `idle` is why no worker takes rows, if so."""
    found = [result for job in jobs if (result := judge_job(job, idle, now))]
    if not found:
        return [CheckResult(Verdict.OK, f"{count_of(len(jobs), 'job')} under way" if jobs else "no job is under way")]
    found.sort(key=lambda result: result.verdict is not Verdict.FAIL)
    if rest := found[MOST_NAMED:]:
        what = f"{count_of(len(rest), 'more job')} of these not shown"
        return [*found[:MOST_NAMED], CheckResult(rest[0].verdict, what, "`relabel jobs` lists them")]
    return found


def paused_by_api(jobs: Sequence[Job], target: str, now: float) -> str:
    """Return which job the API at this base URL, or its key, has paused, and why; '' where there is none."""
    for job in jobs:
        if job.state is JobState.PAUSED and job.reason_code in BY_API and job.spec.target == target:
            return _waits(job, now).said
    return ""


def judge_job(job: Job, idle: str, now: float) -> CheckResult | None:
    """Return what is wrong with a job; None where it goes on."""
    if job.state is JobState.RUNNING:
        return _stuck(job, idle)
    if job.is_read_by_workers:
        return _unread(job, idle, now)
    if job.state not in {JobState.PAUSED, JobState.HELD, JobState.LOST}:
        return None
    return _waits(job, now)


def _waits(job: Job, now: float) -> CheckResult:
    """Return since when a job waits for somebody, or that it is lost, with the reason and what to do."""
    since, lost = job.paused_at or job.held_at or job.submitted_at, job.state is JobState.LOST
    said = f"job {job.spec.job_id} {'is lost' if lost else f'has been {job.state} for {in_words(now - since)}'}"
    by_people = job.state is JobState.HELD or (job.state is JobState.PAUSED and job.reason_code in BY_PEOPLE)
    reason, step = printable(reason_of(job) or "", MESSAGE_CHARS).rstrip("."), next_step(job)
    return CheckResult(Verdict.WARN if by_people else Verdict.FAIL, said, step[:1].lower() + step[1:], reason=reason)


def _unread(job: Job, idle: str, now: float) -> CheckResult | None:
    """Return since when no worker reads the list for a job that waits for that; None where one does."""
    since = job.selection.idle_since if job.selection else None
    if since is None:
        return None
    verdict = Verdict.FAIL if now - since > STUCK_FAIL_S else Verdict.WARN
    said = f"no worker has read the list of completions for job {job.spec.job_id} for {in_words(now - since)}"
    return CheckResult(verdict, said, START_WORKERS if idle else READ_BY_WORKERS, reason=waiting_for(job, idle))


def _stuck(job: Job, idle: str) -> CheckResult | None:
    """Return since when no row of a running job has ended; None where that is not long."""
    if job.standstill is None or job.standstill.seconds < STUCK_WARN_S:
        return None
    verdict = Verdict.FAIL if job.standstill.seconds > STUCK_FAIL_S else Verdict.WARN
    then = "see what else fails or warns here, and the workers' log"
    return CheckResult(verdict, f"job {job.spec.job_id} stands still", then, reason=waiting_for(job, idle))
