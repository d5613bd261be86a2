"""The thread that keeps a worker off the queue that stands aside, and tries every minute whether it may come back."""

from __future__ import annotations

import logging
import time
from typing import Any

from celery import Celery

from completions.preflight import look_at_api
from config.errors import SettingsError
from config.settings import Settings
from ledger.connect import AWAY, new_client
from ledger.ledger import Ledger
from ledger.workers import Aside, LivingWorker, of_release_one
from tasks.celery_app import QUEUE
from tasks.worker_thread import WorkerThread
from worker.worker_key import Standby

CHECK_EVERY_S = 0.25
TRY_AGAIN_S = 60.0
"""Time between two tries of a refused key; each is one request beside the shared rate."""

log = logging.getLogger(__name__)


class ShardQueue:
    """The queue of shards, as this worker's consumer reads it. Both may be called twice."""

    def __init__(self, app: Celery, parent: Any) -> None:
        self._queues = app.amqp.queues
        self._parent = parent

    def leave(self, done: Any) -> None:
        """Have the consumer's own thread leave the queue, then call `done`."""

        def leave(consumer: Any) -> None:
            if consumer.task_consumer is None:  # it connects just now, to the queues that are chosen
                self._queues.deselect([QUEUE])
            else:
                consumer.cancel_task_queue(QUEUE)
            done()

        self._call_soon(leave)

    def join(self, done: Any) -> None:
        """Have the consumer's own thread read the queue again, then call `done`."""

        def join(consumer: Any) -> None:
            if consumer.task_consumer is None:
                self._queues.select_add(self._queues[QUEUE])
            else:
                consumer.add_task_queue(QUEUE)
            done()

        self._call_soon(join)

    def _call_soon(self, step: Any) -> None:
        if (consumer := getattr(self._parent, "consumer", None)) is not None:
            consumer.call_soon(step, consumer)


class KeyWatch(WorkerThread):
    """Does what the pool's children ask for through `standby`, which they share."""

    def __init__(self, settings: Settings, standby: Standby, shards: Any, *, try_again_s: float = TRY_AGAIN_S) -> None:
        super().__init__("key watch")
        self._settings = settings
        self._standby = standby
        self._shards = shards
        self._try_again_s = try_again_s
        self._next_try = 0.0

    async def work(self) -> None:
        """Repeat the step until stopped."""
        await self.repeat(self._step, every_s=CHECK_EVERY_S)

    async def _step(self) -> None:
        if not self._standby.is_on:
            return
        if not self._standby.is_unsubscribed:
            self._next_try = time.monotonic() + self._try_again_s
            self._shards.leave(self._standby.note_unsubscribed)
        elif time.monotonic() > self._next_try:
            self._next_try = time.monotonic() + self._try_again_s
            if await self._may_work():
                self._shards.join(self._standby.leave)

    async def _may_work(self) -> bool:
        """Return whether what keeps the worker aside has passed, or nobody else works, so that the job is to pause."""
        if self._standby.reason is Aside.RELEASE_ONE:
            workers = await self._workers()
            return workers is not None and not of_release_one(workers)
        try:
            seen = await look_at_api(self._settings, tries=1)
        except SettingsError as error:
            log.warning("This worker still takes no shards: %s", error)
        else:
            if seen.unreachable:
                return False
            if not seen.refused:
                log.info("The API accepts this worker's key again; it takes shards.")
                return True
            log.warning("This worker still takes no shards: %s", seen.refused)
        return not await self._others_work()

    async def _others_work(self) -> bool:
        workers = await self._workers()
        if workers is None:
            return True
        return any(worker.takes_shards and worker.name != self._standby.worker for worker in workers)

    async def _workers(self) -> list[LivingWorker] | None:
        """Return the living workers; None where Redis is away."""
        redis = new_client(self._settings.ledger_url)
        try:
            return await Ledger(redis).workers.living()
        except AWAY:
            return None
        finally:
            await redis.aclose()
