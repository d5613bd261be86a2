"""The thread that archives reports; a folder that hangs delays nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from config.settings import Settings
from ledger.connect import AWAY, new_client
from ledger.ledger import Ledger
from tasks.worker_thread import WorkerThread
from worker.archiver import Archiver

DAY_S = 86_400.0
EVERY_S = 2.0
LAST_STEP_S = 3.0
"""Bound of the last step of a worker that is ending; what is left waits for another worker."""


def archive_thread(settings: Settings, worker: str) -> ArchiveThread | None:
    """Return the thread, None where the settings name no folder."""
    folder, days = settings.archive.dir, settings.archive.keep_days
    return ArchiveThread(settings, folder, days * DAY_S, worker) if folder and days else None


class ArchiveThread(WorkerThread):
    """Archives reports every two seconds, and once more at the end."""

    def __init__(self, settings: Settings, folder: Path, keep_s: float, worker: str) -> None:
        super().__init__("archive", stop_within_s=LAST_STEP_S + 1)
        self._settings = settings
        self._folder = folder
        self._keep_s = keep_s
        self._worker = worker

    async def work(self) -> None:
        """Repeat the step until stopped, then take the last one."""
        redis = new_client(self._settings.ledger_url)
        archiver = Archiver(
            Ledger(redis),
            self._folder,
            keep_s=self._keep_s,
            worker=self._worker,
            stopping=self.stopped.is_set,
        )
        try:
            await self.repeat(archiver.step, every_s=EVERY_S)
            with contextlib.suppress(*AWAY):
                async with asyncio.timeout(LAST_STEP_S):
                    await archiver.end()
        finally:
            await redis.aclose()
