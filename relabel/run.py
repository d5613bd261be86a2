"""Carries a job out in this process tree, by a worker process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from config.settings import Settings
from ledger.cancellation import until_first
from ledger.job import Job, JobState
from relabel.control import pause_interrupted
from relabel.errors import Unreachable
from relabel.session import Session
from relabel.snapshots import JobSnapshot, job_snapshots
from relabel.worker_process import WorkerProcess, worker_process

LOOK_EVERY_S = 0.25
"""How often the job is looked at; a look is a round trip or two."""

Progress = Callable[[JobSnapshot], None]
"""Shows the job as it stands now."""


async def require_api(settings: Settings) -> None:
    """Raise Unreachable where the API of the settings does not answer, or refuses the key."""
    from completions.preflight import trouble_with_api  # noqa: PLC0415 - loads an HTTP client

    if trouble := await trouble_with_api(settings):
        where = settings.openai_base_url
        raise Unreachable(f"the API cannot be used: {trouble}. Nothing was sent; it was asked at {where}.")


async def carry_out(session: Session, job_id: str, *, stop: asyncio.Event, progress: Progress) -> Job:
    """Work on a running job until it ends or pauses, and return it as it then stands.

    Once `stop` is set the rows in flight end and the job pauses as interrupted.

    Raises:
        WorkerDied: the worker ended by itself, again and again.

    """
    ledger = session.ledger
    job = await ledger.jobs.get(job_id)
    if job.state is not JobState.RUNNING:
        return job
    keep_open = (session.server.lock_fd,) if session.server else ()
    async with worker_process(session.settings, keep_open=keep_open) as worker:
        await _until_over(session, job_id, worker, stop, progress)
        if stop.is_set():
            await pause_interrupted(session, job_id, "interrupted")
    return await ledger.jobs.get(job_id)


async def _until_over(
    session: Session, job_id: str, worker: WorkerProcess, stop: asyncio.Event, progress: Progress
) -> None:
    watching = _watch(session, job_id, progress)
    await until_first([asyncio.create_task(each) for each in (watching, worker.watch(), stop.wait())])


async def _watch(session: Session, job_id: str, progress: Progress) -> None:
    async for seen in job_snapshots(session, job_id, every_s=LOOK_EVERY_S):
        progress(seen)
