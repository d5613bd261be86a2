"""The worker's own timer: a thread beside the pool that beats and rescues."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from typing import Any

from celery import Celery, bootsteps

from config.settings import Settings
from ledger.connect import AWAY, new_client, persistence_warnings
from ledger.ledger import Ledger
from ledger.shards import LEASE_S
from ratelimit.shared_rate import configured_limit
from tasks.announce import announce
from worker.job_log import RateNews
from worker.own_key import Aside
from worker.redis_outage import RedisOutage
from worker.rescue import RESCUE_EVERY_S, rescue_all

log = logging.getLogger(__name__)


def rescue_step(app: Celery, settings: Settings, *, owner: int | None, aside: Aside) -> type[bootsteps.StartStopStep]:
    """Make the boot step that Celery starts with the worker and stops before the pool."""

    class RescueStep(bootsteps.StartStopStep):
        """Starts the rescue when the pool is there; the pool's children are forked before the thread exists."""

        requires = ("celery.worker.components:Pool",)

        def __init__(self, parent: Any, **options: Any) -> None:
            super().__init__(parent, **options)
            self._timer: RescueTimer | None = None

        def start(self, parent: Any) -> None:
            self._timer = RescueTimer(
                app, settings, worker=parent.hostname, children=parent.concurrency, owner=owner, aside=aside
            )
            self._timer.start()

        def stop(self, parent: Any) -> None:  # noqa: ARG002 - the signature is Celery's
            if self._timer is not None:
                self._timer.stop()
                self._timer = None

        terminate = stop

    return RescueStep


class RescueTimer:
    """Beats and rescues every two seconds, until stopped; while Redis is away it waits."""

    def __init__(
        self, app: Celery, settings: Settings, *, worker: str, children: int, owner: int | None, aside: Aside
    ) -> None:
        self._app = app
        self._settings = settings
        self._worker = worker
        self._children = children
        self._owner = owner
        self._aside = aside
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rescue", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, within a round trip's bound."""
        self._stopped.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        asyncio.run(self._loop())

    async def _loop(self) -> None:
        redis = new_client(self._settings.ledger_url)
        ledger = Ledger(redis)
        key, limit = configured_limit(self._settings)
        rate = RateNews(ledger, key=key, limit=limit)
        outage, warned, patient_till = RedisOutage(), False, 0.0
        try:
            while not self._stopped.is_set():
                try:
                    if not warned:
                        await _warn(ledger)
                        warned = True
                    await ledger.shards.beat(self._worker, self._children, key_refused=self._aside.is_set)
                    outage.end()
                    await rate.tell()
                    if time.monotonic() > patient_till:
                        await rescue_all(ledger, lambda job_id, shards: announce(self._app, job_id, shards))
                except AWAY as error:
                    outage.begin(error)
                    # leases ran out meanwhile, but their owners live: they renew them before anybody is rescued
                    patient_till = time.monotonic() + LEASE_S
                except Exception:  # without this thread the worker would live on and rescue nothing
                    log.exception("The rescue went wrong; it is tried again.")
                if self._owner is not None and os.getppid() != self._owner:
                    os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.to_thread(self._stopped.wait, RESCUE_EVERY_S)
        finally:
            await redis.aclose()


async def _warn(ledger: Ledger) -> None:
    for warning in await persistence_warnings(ledger.redis):
        log.warning("%s", warning)
