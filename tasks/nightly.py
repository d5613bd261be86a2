"""The tasks of the nightly run, and the schedule that asks for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from celery import Celery
from celery.signals import beat_init
from kombu import Queue

from config.settings import Settings
from ledger.connect import AWAY, describe, new_client
from ledger.ledger import Ledger
from nightly.run import NightRun
from nightly.state import NightState
from nightly.store import Nights
from tasks.announce import CARRY_ON, NIGHTLY_QUEUE, announce
from tasks.nightly_schedule import LATEST_S, LOOK_EVERY_S, NightSchedule, scheduler_that
from worker.redis_outage import retry_while_unavailable

NIGHTLY = "relabel.nightly"
EARLY_S = 300.0
"""Time by which a worker's clock may be behind beat's, and the run still counts for the right date."""
TIME_LIMIT_S = 6 * 3600
"""Backstop only, as reading a large file and writing its report take their time."""

log = logging.getLogger(__name__)
Step = Callable[[Ledger, NightRun], Awaitable[None]]


def add_nightly_tasks(app: Celery, settings: Settings, *, stopping: Callable[[], bool], serves: bool) -> None:
    """Register the tasks and the schedule; a worker that `serves` and has the inbox takes their messages, too."""
    nightly = settings.nightly
    app.conf.task_routes = {name: {"queue": NIGHTLY_QUEUE} for name in (NIGHTLY, CARRY_ON)}
    if serves and nightly.inbox is not None:
        default = app.conf.task_default_queue
        app.conf.task_queues = [Queue(name, routing_key=name) for name in (default, NIGHTLY_QUEUE)]
    if nightly.schedule is not None:
        app.conf.beat_schedule = {
            "nightly": {
                "task": NIGHTLY,
                "schedule": NightSchedule(nightly.schedule),
                "options": {"expires": LATEST_S, "argsrepr": "()", "kwargsrepr": "{}"},
            }
        }
        app.conf.beat_scheduler = scheduler_that(lambda: _note_alive(settings))
        app.conf.beat_max_loop_interval = LOOK_EVERY_S
        beat_init.connect(lambda **_: _note_schedule(settings), weak=False)

    @app.task(name=NIGHTLY, time_limit=TIME_LIMIT_S)
    def begin_and_carry_on() -> None:
        _run(app, settings, stopping, lambda ledger, run: _begin(settings, ledger, run))

    @app.task(name=CARRY_ON, time_limit=TIME_LIMIT_S)
    def carry_on() -> None:
        _run(app, settings, stopping, lambda _, run: run.carry_on())


async def _begin(settings: Settings, ledger: Ledger, run: NightRun) -> None:
    await run.carry_on()  # what the run before left may be all that is in the way of this one
    at = await ledger.jobs.now()
    schedule = settings.nightly.schedule
    date = schedule.until(at + EARLY_S).date if schedule else settings.nightly.date_of(at)
    night, new = await Nights(ledger.redis).begin(date, asked_by="schedule", overlap=settings.nightly.overlap)
    if not new:
        log.info("The run of %s was started before; it is not started again.", date)
    elif night.state is not NightState.RUNNING:
        log.warning(
            "The run of %s %s: %s.", date, "waits" if night.state is NightState.WAITING else "is skipped", night.reason
        )
    await run.carry_on()


def _run(app: Celery, settings: Settings, stopping: Callable[[], bool], step: Step) -> None:
    asyncio.run(_run_step(app, settings, stopping, step))


async def _run_step(app: Celery, settings: Settings, stopping: Callable[[], bool], step: Step) -> None:
    """Run a step that may be repeated, once the ledger answers or until the worker is stopping."""
    redis = new_client(settings.ledger_url)
    ledger = Ledger(redis)
    run = NightRun(settings, ledger, lambda job_id, shards: announce(app, job_id, shards), stopping=stopping)
    try:
        await retry_while_unavailable(lambda: step(ledger, run), stopping=stopping)
    finally:
        await redis.aclose()


def _note_schedule(settings: Settings) -> None:
    """Store the schedule that beat is started with."""
    if (schedule := settings.nightly.schedule) is not None:
        _note(settings, lambda nights: nights.note_beat(schedule), retry=True)


def _note_alive(settings: Settings) -> None:
    """Store that beat is alive, or be silent soon: a run must not begin late for it."""
    _note(settings, lambda nights: nights.note_beat_alive(), retry=False)


def _note(settings: Settings, write: Callable[[Nights], Awaitable[None]], *, retry: bool) -> None:
    async def note() -> None:
        redis = new_client(settings.ledger_url, retry=retry)
        try:
            await write(Nights(redis))
        except AWAY as error:
            log.warning("%s", describe(error))
        finally:
            await redis.aclose()

    asyncio.run(note())
