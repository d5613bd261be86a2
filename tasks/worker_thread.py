"""A thread that a worker runs beside its pool, and the boot step that starts and stops it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from celery import bootsteps

from ledger.connect import AWAY

log = logging.getLogger(__name__)
Step = Callable[[], Awaitable[None]]


class WorkerThread:
    """A thread with an event loop of its own, in which `work` runs until the thread is stopped."""

    def __init__(self, name: str, *, stop_within_s: float = 2.0) -> None:
        self.stopped = threading.Event()
        self._stop_within_s = stop_within_s
        self._thread = threading.Thread(target=lambda: asyncio.run(self.work()), name=name, daemon=True)

    async def work(self) -> None:
        """Do what the thread is for; return soon after `stopped` is set."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for its end, within its bound."""
        self.stopped.set()
        self._thread.join(timeout=self._stop_within_s)

    async def repeat(self, step: Step, *, every_s: float) -> None:
        """Repeat a step, with a pause after each time, until the thread is stopped; an error ends only that turn."""
        while not self.stopped.is_set():
            try:
                await step()
            except AWAY:
                log.debug("The %s thread waits for Redis.", self._thread.name)  # the rescue logs each outage
            except Exception:  # without this the step would never run again
                log.exception("The %s thread failed; it tries again.", self._thread.name)
            await asyncio.to_thread(self.stopped.wait, every_s)


def thread_step(step_name: str, make: Callable[[Any], WorkerThread | None]) -> type[bootsteps.StartStopStep]:
    """Return the boot step that runs the thread which `make` returns for a worker; there may be none.

    Celery starts it when the pool is there, so that the children are forked before the thread exists, and stops it
    before the pool.
    """

    class ThreadStep(bootsteps.StartStopStep):
        """Starts and stops the thread."""

        name = step_name
        requires = ("celery.worker.components:Pool",)

        def __init__(self, parent: Any, **options: Any) -> None:
            super().__init__(parent, **options)
            self._thread: WorkerThread | None = None

        def start(self, parent: Any) -> None:
            self._thread = make(parent)
            if self._thread is not None:
                self._thread.start()

        def stop(self, parent: Any) -> None:  # noqa: ARG002 - the signature is Celery's
            if self._thread is not None:
                self._thread.stop()
                self._thread = None

        terminate = stop

    return ThreadStep
