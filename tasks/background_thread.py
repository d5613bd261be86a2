"""What a worker does beside its jobs, in a thread of its own: it sends nightly runs on, and notifications out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from celery import Celery, bootsteps

from config.settings import Settings
from ledger.connect import AWAY, new_client
from ledger.ledger import Ledger
from nightly.inbox import Inbox
from nightly.run import has_pending_work
from nightly.store import Nights
from notify.notifier import Notifier
from notify.webhook import open_webhook
from tasks.nightly import ask_to_carry_on

LOOK_EVERY_S = 2.0
NUDGE_EVERY_S = 5.0
"""Shortest time between two messages that ask for a nightly run to be carried on."""
LAST_STEP_S = 3.0
"""Bound of the last notifications of a worker that is ending."""

log = logging.getLogger(__name__)
Step = Callable[[], Awaitable[None]]


def errand_step(app: Celery, settings: Settings, *, serves: bool) -> type[bootsteps.StartStopStep]:
    """Make the boot step; a worker that does not serve others sends its notifications out, and nothing else."""

    class ErrandStep(bootsteps.StartStopStep):
        """Starts the errands once the pool's children are forked; without any there is no thread."""

        requires = ("celery.worker.components:Pool",)

        def __init__(self, parent: Any, **options: Any) -> None:
            super().__init__(parent, **options)
            self._errands: Errands | None = None

        def start(self, parent: Any) -> None:  # noqa: ARG002 - the signature is Celery's
            nightly = serves and (settings.nightly.inbox or settings.nightly.schedule)
            if nightly or settings.notify.url:
                self._errands = Errands(app, settings, serves=serves)
                self._errands.start()

        def stop(self, parent: Any) -> None:  # noqa: ARG002 - as above
            if self._errands is not None:
                self._errands.stop()
                self._errands = None

        terminate = stop

    return ErrandStep


class Errands:
    """The thread; what it waits for delays no rescue and no job."""

    def __init__(self, app: Celery, settings: Settings, *, serves: bool) -> None:
        self._app = app
        self._settings = settings
        self._serves = serves
        self._noted = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="errands", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, with the last notifications."""
        self._stopped.set()
        self._thread.join(timeout=LAST_STEP_S + 2)

    def _run(self) -> None:
        asyncio.run(self._errands())

    async def _errands(self) -> None:
        async with AsyncExitStack() as stack:
            redis = new_client(self._settings.ledger_url)
            stack.push_async_callback(redis.aclose)
            ledger = Ledger(redis)
            loops = []
            if self._serves:
                loops.append(self._repeat(lambda: self._send_on(ledger)))
            if self._settings.notify.url:
                webhook = await stack.enter_async_context(open_webhook(self._settings.notify))
                loops.append(self._notify(Notifier(ledger, webhook)))
            await asyncio.gather(*loops)

    async def _notify(self, notifier: Notifier) -> None:
        await self._repeat(notifier.step)
        with contextlib.suppress(*AWAY):
            async with asyncio.timeout(LAST_STEP_S):
                await notifier.end()

    async def _send_on(self, ledger: Ledger) -> None:
        nightly = self._settings.nightly
        if nightly.schedule is not None:
            await Nights(ledger.redis).note_schedule(nightly.schedule, instead=not self._noted)
            self._noted = True
        if nightly.inbox is None or not await Nights(ledger.redis).open():
            return
        try:
            mark = await asyncio.to_thread(Inbox(nightly.inbox).mark)
        except OSError:  # a folder that is not there: a run is another worker's
            return
        if await has_pending_work(ledger, mark) and await Nights(ledger.redis).try_schedule_tick(NUDGE_EVERY_S):
            await asyncio.to_thread(ask_to_carry_on, self._app)

    async def _repeat(self, step: Step) -> None:
        while not self._stopped.is_set():
            try:
                await step()
            except AWAY:
                log.debug("An errand waits for Redis.")  # the rescue beside it says what is wrong
            except Exception:  # without this the errand would never be run again
                log.exception("An errand went wrong; it is tried again.")
            await self._pause()

    async def _pause(self) -> None:
        for _ in range(int(LOOK_EVERY_S / 0.1)):
            if self._stopped.is_set():
                return
            await asyncio.sleep(0.1)
