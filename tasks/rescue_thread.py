"""The thread that sends a worker's heartbeat and rescues shards."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import time
from importlib.metadata import version

from celery import Celery

from config.settings import Settings
from config.shared import shared_settings
from config.text import printable
from ledger.connect import AWAY, new_client, persistence_warnings
from ledger.errors import NewerLedger
from ledger.ledger import Ledger
from ledger.loss_detector import LossDetector
from ledger.server_info import write_and_forget
from ledger.shards import LEASE_S
from ledger.workers import Aside, WorkerFacts, of_release_one
from tasks.announce import announce, ask_to_read
from tasks.worker_thread import WorkerThread
from worker.job_log import RateLog
from worker.redis_outage import OUTAGE
from worker.rescue import RESCUE_EVERY_S, rescue_all
from worker.worker_key import Standby

NAMES_CHARS = 300
"""Most that is logged of the names of other workers, which they chose."""

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
        self._started = time.monotonic()
        self._start = secrets.token_hex(4)
        self._has_warned = False
        self._has_named_others = False
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
        await ledger.workers.beat(self._worker, self._children, self._facts())
        # a heartbeat is stored at the memory limit, too, where leases cannot be renewed: then nobody may be rescued
        await write_and_forget(ledger.redis)
        self._stand_aside(of_release_one(await ledger.workers.living()))
        OUTAGE.end(tried_at=tried_at)
        await rate.log_change()
        if time.monotonic() > self._rescue_from:
            await rescue_all(
                ledger,
                lambda job_id, shards: announce(self._app, job_id, shards),
                lambda job_id: ask_to_read(self._app, job_id),
                worker=self._worker,
            )

    def _stand_aside(self, others: list[str]) -> None:
        """Take no shards beside workers of release one: what either writes, the other reads as something else."""
        if others and not self._standby.is_on:
            self._standby.enter(Aside.RELEASE_ONE)
        if others and not self._has_named_others:
            what = "Workers of release one are alive (%s): this worker takes no shards until they have ended; end them."
            log.error(what, printable(", ".join(others), NAMES_CHARS))
        self._has_named_others = bool(others)

    def _facts(self) -> WorkerFacts:
        settings = self._settings
        return WorkerFacts(
            host=socket.gethostname(),
            version=version("relabel"),
            base_url=settings.openai_base_url,
            key=self._standby.key,
            start=self._start,
            up_s=round(time.monotonic() - self._started, 1),
            aside=self._standby.reason,
            settings=shared_settings(settings),
        )
