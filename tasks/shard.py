"""The task that applies one shard."""

from __future__ import annotations

import gc
import multiprocessing
from typing import Any

from celery import Celery
from celery.signals import celeryd_init, worker_process_shutdown, worker_shutting_down

from config.settings import Settings
from config.text import known_code
from tasks.announce import APPLY_SHARD, announce
from worker.runtime import Runtime
from worker.worker_key import Standby

NEW_OBJECTS, YOUNG, OLD = 20_000, 20, 20
"""When garbage is looked for: rows leave next to none, and to look every 700 objects took up to a tenth of a row."""


class ShardFailed(Exception):
    """A run of the shard was stopped by an error. The message is its code, which Celery's events and Flower show."""


class Process:
    """The state of a worker process between tasks. Created before the fork; the runtime is opened after it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # shared memory: the parent gets the signal of a shutdown, the children read it here (facts, section 2.1)
        self._stop = multiprocessing.Value("b", 0, lock=False)
        self._runtime: Runtime | None = None
        self.standby = Standby()

    def runtime(self) -> Runtime:
        """Return this process's runtime; the first task opens it."""
        if self._runtime is None:
            runtime = Runtime(self._settings, stopping=self.stopping, standby=self.standby)
            runtime.open()
            gc.freeze()  # what is loaded by now stays
            gc.set_threshold(NEW_OBJECTS, YOUNG, OLD)
            self._runtime = runtime
        return self._runtime

    def stopping(self) -> bool:
        """Return whether this worker is stopping."""
        return bool(self._stop.value)

    def name(self, *, sender: str, **_: Any) -> None:
        """Store the worker's name, before its children are forked."""
        self.standby.worker = sender

    def stop(self, **_: Any) -> None:
        """Have all processes of this worker hand back their shards."""
        self._stop.value = 1

    def close(self, **_: Any) -> None:
        """Close the runtime where this process opened one."""
        if self._runtime is not None:
            self._runtime.close()
            self._runtime = None


def add_shard_task(app: Celery, settings: Settings) -> Process:
    """Register `relabel.apply_shard(job_id, shard)`; safe to run twice, as the ledger decides."""
    process = Process(settings)
    celeryd_init.connect(process.name, weak=False)
    worker_shutting_down.connect(process.stop, weak=False)
    worker_process_shutdown.connect(process.close, weak=False)

    # what `throws` names is logged in a line, as the ledger and our log hold all about it
    @app.task(name=APPLY_SHARD, throws=(ShardFailed,), Request="tasks.shard_request:ShardRequest")
    def apply_shard(job_id: str, shard: int) -> None:
        runtime = process.runtime()
        announce(app, job_id, runtime.run_shard(job_id, shard))
        if runtime.failure:
            raise ShardFailed(known_code(runtime.failure))

    return process
