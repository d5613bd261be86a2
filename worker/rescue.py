"""Rescues the shards of workers that died and of lost messages, and announces what there is room for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from ledger.codec import Detail
from ledger.errors import NoSuchJob
from ledger.job import Job, JobState
from ledger.ledger import Ledger
from ledger.row import Outcome
from worker.job_end import retire
from worker.job_log import log_job

RESCUE_EVERY_S = 2.0
"""How often a worker sends its heartbeat and checks the jobs."""

log = logging.getLogger(__name__)
Announce = Callable[[str, Iterable[int]], None]
AskToRead = Callable[[str], None]


async def rescue_all(ledger: Ledger, announce: Announce, ask_to_read: AskToRead, *, worker: str = "") -> None:
    """Rescue every active job once, unless another worker has just done so; `worker` is who rescues.

    Its shards are announced again; or, where the list is to be read for it, workers are asked to do so.
    """
    if not await ledger.shards.take_rescue(RESCUE_EVERY_S / 2):
        return
    for job_id in await ledger.jobs.active():
        try:
            job = await ledger.jobs.get(job_id)
            if job.is_read_by_workers and await ledger.list_reads.should_call(job_id):
                ask_to_read(job_id)
            await _rescue(ledger, job, announce, worker)
        except NoSuchJob:
            await ledger.jobs.forget(job_id)


async def _rescue(ledger: Ledger, job: Job, announce: Announce, worker: str) -> None:
    job_id = job.spec.job_id
    await log_job(ledger, job)
    if job.state is JobState.CANCELLED and not await ledger.shards.close_all(job.spec, Outcome.CANCELLED):
        return
    if job.state.ended:
        await retire(ledger, job)
        return
    rescued = await ledger.shards.rescue(job_id)
    if rescued.messages_lost or rescued.workers_lost:
        fields = {"job": job_id, "messages_lost": rescued.messages_lost, "workers_lost": rescued.workers_lost}
        log.warning("shards rescued, to be announced again", extra=fields)
    for number in rescued.parked:
        await _park(ledger, job, number, worker)
    shards = await ledger.shards.to_announce(job_id) if job.state is JobState.RUNNING else []
    await ledger.jobs.bound(job_id)
    announce(job_id, shards)


async def _park(ledger: Ledger, job: Job, number: int, worker: str) -> None:
    message = "the worker died time and again at this row's shard before it settled a row"
    at = await ledger.jobs.now()
    detail = Detail("worker_crash", 0, message, "", 0, at)
    rows = await ledger.shards.close(job.spec, number, Outcome.FAILED, detail, by=worker)
    fields = {"job": job.spec.job_id, "shard": number, "failed": rows}
    log.error("shard parked: its worker died time and again", extra=fields)
