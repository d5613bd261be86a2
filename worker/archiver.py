"""Archives the reports of ended jobs, one worker at a time; a folder that cannot be used stops nothing else."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from ledger.errors import NoSuchJob, StateLost
from ledger.job import JobState
from ledger.ledger import Ledger
from report.archive import prune, write_archive
from worker.job_end import retire

TRY_AGAIN_S = 60.0
"""Time until a folder is tried again, and its state recorded for `health`."""
PRUNE_EVERY_S = 3600.0

log = logging.getLogger(__name__)


class Archiver:
    """What one worker archives, in a folder whose files are kept for `keep_s` seconds.

    `worker` is its name; `stopping` ends a step between two jobs.
    """

    def __init__(
        self,
        ledger: Ledger,
        folder: Path,
        *,
        keep_s: float,
        worker: str,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ledger = ledger
        self._queue = ledger.archive_queue
        self._folder = folder
        self._keep_s = keep_s
        self._worker = worker
        self._stopping = stopping
        self._fault = ""
        self._next_word = self._next_prune = 0.0

    async def step(self) -> None:
        """Archive the jobs that wait, unless another worker does, or the folder failed within a minute."""
        now = time.monotonic()
        if self._fault and now < self._next_word:
            return
        try:
            if self._fault or now >= self._next_prune:
                await asyncio.to_thread(prune, self._folder, keep_s=self._keep_s)
                self._next_prune = now + PRUNE_EVERY_S
            async with self._queue.lock().held() as held:
                if held:
                    await self._archive_all()
        except OSError as error:
            await self._note(error.strerror or type(error).__name__)
        else:
            if now >= self._next_word:
                await self._note("")

    async def end(self) -> None:
        """Archive what is left where the worker ends: also a job that has just finished and is not yet counted."""
        for job_id in await self._ledger.jobs.active():
            job = await self._ledger.jobs.get(job_id)
            if job.state is JobState.FINISHED:
                await retire(self._ledger, job)
        self._stopping = lambda: False
        await self.step()

    async def _archive_all(self) -> None:
        while not self._stopping() and (job_id := await self._queue.first()):
            try:
                await write_archive(self._ledger, await self._ledger.jobs.get(job_id), self._folder)
                log.info("report archived", extra={"job": job_id})
            except (NoSuchJob, StateLost):
                log.warning("report not archived: Redis lost rows of the job", extra={"job": job_id})
            await self._queue.remove(job_id)

    async def _note(self, fault: str) -> None:
        if fault and fault != self._fault:
            log.error("Reports cannot be archived in %s (%s); they wait, for a week.", self._folder, fault)
        self._fault = fault
        self._next_word = time.monotonic() + TRY_AGAIN_S
        await self._queue.announce(self._worker, str(self._folder), fault=fault)
