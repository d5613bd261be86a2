"""The thread that asks for nightly runs to be carried on, and sends notifications; it delays no rescue and no job."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack

from celery import Celery

from config.settings import Settings
from ledger.connect import AWAY, new_client
from ledger.ledger import Ledger
from nightly.inbox import Inbox
from nightly.run import has_pending_work
from nightly.store import Nights
from notify.notifier import Notifier
from notify.webhook import open_webhook
from tasks.announce import ask_to_carry_on
from tasks.worker_thread import WorkerThread

EVERY_S = 2.0
ASK_EVERY_S = 5.0
"""Shortest time between two messages that ask for a nightly run to be carried on."""
LAST_STEP_S = 3.0
"""Bound of the last notifications of a worker that is ending."""


def background_thread(app: Celery, settings: Settings, *, serves: bool) -> BackgroundThread | None:
    """Return the thread, None where there is nothing to do; one that does not serve others only notifies."""
    nightly = serves and (settings.nightly.inbox or settings.nightly.schedule)
    return BackgroundThread(app, settings, serves=serves) if nightly or settings.notify.url else None


class BackgroundThread(WorkerThread):
    """Asks for nightly runs to be carried on and sends notifications, each every two seconds."""

    def __init__(self, app: Celery, settings: Settings, *, serves: bool) -> None:
        super().__init__("background", stop_within_s=LAST_STEP_S + 2)
        self._app = app
        self._settings = settings
        self._serves = serves
        self._noted = False

    async def work(self) -> None:
        """Repeat both steps until stopped, then send the last notifications."""
        async with AsyncExitStack() as stack:
            redis = new_client(self._settings.ledger_url)
            stack.push_async_callback(redis.aclose)
            ledger = Ledger(redis)
            loops = []
            if self._serves:
                loops.append(self.repeat(lambda: self._ask_to_carry_on(ledger), every_s=EVERY_S))
            if self._settings.notify.url:
                webhook = await stack.enter_async_context(open_webhook(self._settings.notify))
                loops.append(self._notify(Notifier(ledger, webhook)))
            await asyncio.gather(*loops)

    async def _notify(self, notifier: Notifier) -> None:
        await self.repeat(notifier.step, every_s=EVERY_S)
        with contextlib.suppress(*AWAY):
            async with asyncio.timeout(LAST_STEP_S):
                await notifier.end()

    async def _ask_to_carry_on(self, ledger: Ledger) -> None:
        nights, nightly = Nights(ledger.redis), self._settings.nightly
        if nightly.schedule is not None:
            await nights.note_schedule(nightly.schedule, instead=not self._noted)
            self._noted = True
        if nightly.inbox is None or not (await nights.open() or await nights.held()):
            return
        try:
            inbox_id = await asyncio.to_thread(Inbox(nightly.inbox).inbox_id)
        except OSError:  # no such folder: the run belongs to another worker
            return
        if await has_pending_work(ledger, inbox_id) and await nights.try_schedule_tick(ASK_EVERY_S):
            await asyncio.to_thread(ask_to_carry_on, self._app)
