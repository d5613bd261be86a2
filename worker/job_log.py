"""Logs changes of jobs and of the shared rate: each change once, by the first worker that sees it."""

from __future__ import annotations

import logging

import msgspec

from ledger.job import Job, JobSpec, JobState
from ledger.ledger import Ledger
from ratelimit.limiter import Limits, SharedLimit

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
    """Logs changes of the rate that this worker shares."""

    def __init__(self, ledger: Ledger, shared: SharedLimit) -> None:
        self._log_states = ledger.log_states
        self._limits = Limits(ledger.redis)
        self._shared = shared

    async def log_change(self) -> None:
        """Keep this worker's rate in force, and log when a 429 or a failing API lowers the shared rate, and its end."""
        status = (await self._limits.acquire(0, self._shared, alive=True)).status
        if status.slowed_by == "headers":  # the API's own headers change every second
            return
        before = await self._log_states.of(self._shared.key, status.slowed_by)
        if before is None:
            return
        fields = {"per_minute": round(status.rate * 60, 1), "asked_per_minute": round(status.asked * 60, 1)}
        if status.slowed_by == "failing":
            log.warning("breaker opened: the API fails, all workers wait and probe", extra=fields)
        elif before == "failing":
            log.info("breaker closed: the API works again", extra=fields)
        elif status.slowed_by == "429":
            log.warning("rate lowered after a 429", extra=fields | {"paused_s": status.paused_s})
        else:
            log.info("rate as asked for again", extra=fields)
