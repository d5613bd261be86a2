"""The worker that a Python client brings along: started when it is needed first, ended with the client."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack

from ledger.cancellation import end_tasks
from ledger.connect import AWAY
from ledger.errors import NoSuchJob
from ledger.job import JobState
from relabel.control import pause_interrupted, pause_orphans
from relabel.run import require_api
from relabel.session import Session, require_api_key
from relabel.worker_process import worker_process

ENDED = "its Python client was closed"


class OwnWorker:
    """A worker of this process tree. Jobs that it works on are paused when it ends before them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stack = AsyncExitStack()
        self._starting = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._jobs: set[str] = set()

    async def start(self) -> None:
        """Start the worker, unless it runs.

        Raises:
            SettingsError: there is no API key.
            Unreachable: the API does not answer, or refuses the key.
            WorkerDied: it ended by itself, again and again.

        """
        async with self._starting:
            if self._watching is None:
                session = self._session
                require_api_key(session.settings)
                await require_api(session.settings)
                await pause_orphans(session)
                keep_open = (session.server.lock_fd,) if session.server else ()
                worker = await self._stack.enter_async_context(worker_process(session.settings, keep_open=keep_open))
                self._watching = asyncio.create_task(worker.watch())
        self.require_alive()

    def work_on(self, job_id: str) -> None:
        """Pause this job, too, when the worker ends before it."""
        self._jobs.add(job_id)

    def require_alive(self) -> None:
        """Raise WorkerDied where the worker was started and would not live."""
        if self._watching is not None and self._watching.done():
            self._watching.result()

    async def aclose(self) -> None:
        """Pause what is not done, let the rows in flight end, and end the worker; may be called twice."""
        if self._watching is None:
            return
        try:
            with contextlib.suppress(*AWAY):
                await self._pause_all()
        finally:
            await end_tasks([self._watching])
            await self._stack.aclose()

    async def _pause_all(self) -> None:
        for job_id in self._jobs:
            with contextlib.suppress(NoSuchJob):
                job = await self._session.ledger.jobs.get(job_id)
                if job.state is JobState.RUNNING or job.is_read_by_workers:
                    await pause_interrupted(self._session, job_id, ENDED)
        self._jobs.clear()
