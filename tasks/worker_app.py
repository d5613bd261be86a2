"""Make the Celery application of a worker, which takes three times as long to load as one that only sends."""

from __future__ import annotations

import asyncio
import multiprocessing.process
import os
import sys
from typing import Any

from celery import Celery
from celery.signals import celeryd_init

from completions.target import target_of
from completions.transport import route_to
from config.errors import SettingsError
from config.settings import Settings
from ledger.connect import AWAY, new_client
from ledger.errors import NewerLedger
from ledger.ledger import Ledger
from ledger.workers import Aside, of_release_one
from notify.webhook import webhook_route
from tasks.archive_thread import archive_thread
from tasks.background_thread import background_thread
from tasks.broker_info import HideBrokerCredentials
from tasks.celery_app import make_app
from tasks.flower import set_up_flower
from tasks.key_watch import KeyWatch, ShardQueue
from tasks.logs import set_up_logs
from tasks.nightly import add_nightly_tasks
from tasks.rescue_thread import RescueThread
from tasks.selection import add_selection_task
from tasks.shard import add_shard_task
from tasks.worker_thread import thread_step
from worker.worker_key import Standby

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - its files have no names


def make_worker_app(settings: Settings, *, owner: int | None = None) -> Celery:
    """Return the application with its tasks and all that runs beside them; nothing is connected yet.

    A worker that is given the process id of its `owner` ends when that process does.

    Raises:
        SettingsError: no Redis server is set.

    """
    app = make_app(settings)
    set_up_logs(app, settings)
    set_up_flower(app, settings)
    celeryd_init.connect(lambda **_: share_in_memory(), weak=False)
    celeryd_init.connect(lambda **_: _check_routes(settings), weak=False)
    worker = add_shard_task(app, settings)
    celeryd_init.connect(lambda **_: _check_ledger(settings, worker.standby), weak=False)
    add_selection_task(app, settings, worker)
    add_nightly_tasks(app, settings, stopping=worker.stopping, serves=owner is None)
    app.steps["consumer"].add(HideBrokerCredentials)
    app.steps["worker"] |= {
        thread_step("relabel.Rescue", lambda parent: _rescue(parent, app, settings, owner, worker.standby)),
        thread_step("relabel.KeyWatch", lambda parent: KeyWatch(settings, worker.standby, ShardQueue(app, parent))),
        thread_step("relabel.Archive", lambda parent: archive_thread(settings, parent.hostname)),
        thread_step("relabel.Background", lambda _: background_thread(app, settings, serves=owner is None)),
    }
    return app


def share_in_memory() -> None:
    """Have billiard keep in memory what a worker shares with its children: a killed one then leaves no folder behind.

    It takes the folder's name from the standard library, which has no other way to set it (Python 3.11 to 3.14).
    """
    if os.access(SHARED_MEMORY, os.W_OK):
        multiprocessing.process.current_process()._config["tempdir"] = SHARED_MEMORY  # type: ignore[attr-defined]


def _rescue(parent: Any, app: Celery, settings: Settings, owner: int | None, standby: Standby) -> RescueThread:
    name, children = parent.hostname, parent.concurrency
    return RescueThread(app, settings, worker=name, children=children, owner=owner, standby=standby)


def _check_routes(settings: Settings) -> None:
    """Exit before the worker starts where its environment names a proxy or CAs that cannot be used."""
    try:
        target = target_of(settings, "")
        route_to(target.base_url, target.proxy)
        webhook_route(settings.notify)
    except SettingsError as error:
        sys.stderr.write(f"relabel: {error}\n")
        raise SystemExit(2) from None


def _check_ledger(settings: Settings, standby: Standby) -> None:
    """Exit where the ledger is a newer release's, and take no shards beside release one; Redis may be away just now."""

    async def check() -> None:
        redis = new_client(settings.ledger_url, retry=False)
        try:
            ledger = Ledger(redis)
            await ledger.identity.establish()
            if of_release_one(await ledger.workers.living()):
                standby.enter(Aside.RELEASE_ONE)
        finally:
            await redis.aclose()

    try:
        asyncio.run(check())
    except NewerLedger as error:
        sys.stderr.write(f"relabel: {error}\n")
        raise SystemExit(2) from None
    except AWAY:
        return  # the rescue thread checks again, and nothing can be leased before
