"""The thread that sends a worker's heartbeat and rescues shards."""

from __future__ import annotations

import logging
import os
import signal
import time

from celery import Celery

from config.settings import Settings
from ledger.connect import AWAY, new_client, persistence_warnings
from ledger.errors import NewerLedger
from ledger.ledger import Ledger
from ledger.loss_detector import LossDetector
from ledger.shards import LEASE_S
from tasks.announce import announce
from tasks.worker_thread import WorkerThread
from worker.job_log import RateLog
from worker.redis_outage import OUTAGE
from worker.rescue import RESCUE_EVERY_S, rescue_all
from worker.worker_key import Standby

log = logging.getLogger(__name__)


class RescueThread(WorkerThread):
    """Sends a heartbeat and rescues every two seconds. A worker with an `owner` ends with that process."""

    def __init__(
        self, app: Celery, settings: Settings, *, worker: str, children: int, owner: int | None, standby: Standby
    ) -> None:
        super().__init__("rescue")
        self._app = app
        self._settings = settings
        self._worker = worker
        self._children = children
        self._owner = owner
        self._standby = standby
        self._has_warned = False
        self._rescue_from = 0.0

    async def work(self) -> None:
        """Repeat the step until stopped; while Redis is away nobody is rescued."""
        redis = new_client(self._settings.ledger_url)
        ledger = Ledger(redis)
        rate = RateLog(ledger, self._settings, worker=self._worker)
        losses = LossDetector(self._worker)
        try:
            await self.repeat(lambda: self._step(ledger, rate, losses), every_s=RESCUE_EVERY_S)
        finally:
            await redis.aclose()

    async def _step(self, ledger: Ledger, rate: RateLog, losses: LossDetector) -> None:
        if self._owner is not None and os.getppid() != self._owner:
            os.kill(os.getpid(), signal.SIGTERM)
        tried_at = time.monotonic()
        try:
            await losses.check(ledger)
            await self._beat_and_rescue(ledger, rate, tried_at)
        except NewerLedger as error:
            log.critical("%s", error)
            os.kill(os.getpid(), signal.SIGTERM)
        except AWAY as error:
            OUTAGE.begin(error, tried_at=tried_at)
            # leases ran out meanwhile, but their owners live: they renew them before anybody is rescued
            self._rescue_from = time.monotonic() + LEASE_S

    async def _beat_and_rescue(self, ledger: Ledger, rate: RateLog, tried_at: float) -> None:
        if not self._has_warned:
            for warning in await persistence_warnings(ledger.redis):
                log.warning("%s", warning)
            self._has_warned = True
        await ledger.workers.beat(self._worker, self._children, key_refused=self._standby.is_on)
        OUTAGE.end(tried_at=tried_at)
        await rate.log_change()
        if time.monotonic() > self._rescue_from:
            await rescue_all(ledger, lambda job_id, shards: announce(self._app, job_id, shards), worker=self._worker)
