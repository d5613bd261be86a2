"""Logs changes of jobs and of the shared rate: each change once, by the first worker that sees it."""

from __future__ import annotations

import logging

import msgspec

from config.settings import Settings
from ledger.job import Job, JobState
from ledger.job_spec import JobSpec
from ledger.ledger import Ledger
from ratelimit.limits import Limits
from ratelimit.shared_rate import jobs_on, shared_limit

log = logging.getLogger(__name__)


async def log_started(ledger: Ledger, spec: JobSpec) -> None:
    """Log that a job runs, for the first time or again."""
    before = await ledger.log_states.of_job(spec.job_id, JobState.RUNNING)
    if before is not None:
        event = "job resumed" if before in {JobState.PAUSED, JobState.HELD} else "job opened"
        fields = {"job": spec.job_id, "kind": spec.kind, "mode": spec.mode, "rows": spec.rows, "shards": spec.shards}
        log.info(event, extra=fields)


async def log_job(ledger: Ledger, job: Job) -> None:
    """Log the job's state, where no worker has logged it yet."""
    if job.state is JobState.RUNNING:
        await log_started(ledger, job.spec)
    elif await ledger.log_states.of_job(job.spec.job_id, job.state) is None:
        return
    elif job.state.ended:
        _log_end(job)
    else:
        level = logging.WARNING if job.state is JobState.PAUSED else logging.INFO
        log.log(level, "job %s", job.state, extra={"job": job.spec.job_id, "reason": job.reason_code})


def _log_end(job: Job) -> None:
    traffic = msgspec.structs.asdict(job.traffic)
    seconds = round(job.finished_at - job.submitted_at, 3) if job.finished_at else None
    fields = {"job": job.spec.job_id, "seconds": seconds} | msgspec.structs.asdict(job.counts) | traffic
    level = logging.ERROR if job.state is JobState.LOST else logging.INFO
    log.log(level, "job %s", job.state, extra=fields)


class RateLog:
    """Logs changes of the rate that this worker shares, also in the audit logs of the jobs that share it."""

    def __init__(self, ledger: Ledger, settings: Settings, *, worker: str) -> None:
        self._ledger = ledger
        self._limits = Limits(ledger.redis)
        self._settings = settings
        self._shared = shared_limit(settings)
        self._worker = worker

    async def log_change(self) -> None:
        """Keep this worker's rate in force, and log when a 429 or a failing API lowers the shared rate, and its end."""
        status = (await self._limits.acquire(0, self._shared, alive=True)).status
        if status.slowed_by == "headers":  # the API's own headers change every second
            return
        before = await self._ledger.log_states.of(self._shared.key, status.slowed_by)
        if before is None:
            return
        per_minute, asked = round(status.rate * 60, 1), round(status.asked * 60, 1)
        fields = {"per_minute": per_minute, "asked_per_minute": asked}
        if status.slowed_by == "failing":
            log.warning("breaker opened: the API fails, all workers wait and probe", extra=fields)
            await self._note("the API fails: all rows wait, one request a second is tried")
        elif before == "failing":
            log.info("breaker closed: the API works again", extra=fields)
            await self._note(f"the API works again: {per_minute:g}/min")
        elif status.slowed_by == "429":
            log.warning("rate lowered after a 429", extra=fields | {"paused_s": status.paused_s})
            await self._note(
                f"the shared rate was lowered to {per_minute:g}/min after a 429 (configured {asked:g}/min)"
            )
        else:
            log.info("rate as asked for again", extra=fields)
            await self._note(f"the shared rate is {per_minute:g}/min again")

    async def _note(self, what: str) -> None:
        for job_id in await jobs_on(self._settings, self._ledger):
            await self._ledger.audit.note(job_id, who=self._worker, verb="rate", why=what)
