"""The task that reads the list of completions for a job of a selection, a turn at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from celery import Celery

from completions.errors import KeyRefused, Refusal, Retryable, StopJob
from config.api_key import read_api_key
from config.errors import KeyUnavailable
from config.logs import safe_traceback
from config.settings import Settings
from config.text import known_code
from ledger.audit import audit_entry
from ledger.connect import AWAY, describe, new_client
from ledger.errors import LeaseLost, NoSuchJob, StateLost
from ledger.job import LOST_REASON, STATE_LOST_CODE, JobState
from ledger.job_states import READING
from ledger.ledger import Ledger
from ledger.list_reads import MOST_CRASHES, ReaderCrashed
from ratelimit.shared_rate import endpoint_of
from selection.errors import BadSelection
from selection.list_access import open_list_of, why_unreadable
from selection.list_turn import (
    TOO_MANY_ROWS_CODE,
    TURN_S,
    ListTurn,
    OpenList,
    Surroundings,
    TooManyRows,
    TurnEnd,
    list_turn,
)
from tasks.announce import READ_SELECTION, announce, ask_to_read
from tasks.shard import Process
from worker.job_end import retire
from worker.runtime import OTHERS_START_S
from worker.worker_key import WorkerKey

TIME_LIMIT_S = 6 * 3600
"""Backstop only: a turn is short, but the last one also stores the rows, of which there may be millions."""
FAILING_S = 900.0
"""Seconds without a page after which a failing API pauses the job, as rows fail after so long."""
CRASHED_CODE = "worker_crash"
NO_KEY_CODE = "key_unavailable"

log = logging.getLogger(__name__)


def add_selection_task(app: Celery, settings: Settings, process: Process) -> None:
    """Register `relabel.read_selection(job_id)`; safe to run twice, as a lock lets one at a time read."""

    @app.task(name=READ_SELECTION, time_limit=TIME_LIMIT_S)
    def read_selection(job_id: str) -> None:
        if not process.standby.is_on:
            asyncio.run(_read(app, settings, process, job_id))


async def _read(app: Celery, settings: Settings, process: Process, job_id: str) -> None:
    redis = new_client(settings.ledger_url)
    try:
        reader = Reader(settings, process, Ledger(redis), job_id)
        shards = await reader.read()
    except AWAY as error:
        log.warning("%s The list is read on later.", describe(error), extra={"job": job_id})
        return
    except NoSuchJob:
        return
    finally:
        await redis.aclose()
    if reader.is_left and not process.standby.is_on:
        ask_to_read(app, job_id)
    announce(app, job_id, shards)


class Reader:
    """One turn at a job, of `turn_s` seconds. `is_left`: the list is to be read on, at once."""

    def __init__(
        self,
        settings: Settings,
        process: Process,
        ledger: Ledger,
        job_id: str,
        *,
        turn_s: float = TURN_S,
        open_list: OpenList = open_list_of,
    ) -> None:
        self._settings = settings
        self._process = process
        self._ledger = ledger
        self._job_id = job_id
        self._worker = process.standby.worker or "worker"
        self._turn_s, self._open_list = turn_s, open_list
        self.is_left = False

    async def read(self) -> list[int]:
        """Read, and return the shards to be announced, where the job has its rows now."""
        reads = self._ledger.list_reads
        lock = reads.lock(self._job_id)
        async with lock.held() as ours:
            if not ours:
                return []
            try:
                end = await self._turn(await list_turn(self._job_id, lock, self._around()))
            except ReaderCrashed:
                await self._end(CRASHED_CODE, f"{MOST_CRASHES} workers in a row died while they read the list for it")
                return []
            except BadSelection as error:
                await self._pause("invalid_input", str(error))
                return []
            finally:
                with contextlib.suppress(*AWAY):
                    await reads.leave(self._job_id, lock)
        self.is_left = end is TurnEnd.READ_ON
        if end is TurnEnd.OPENED and (job := await self._ledger.jobs.get(self._job_id)).state.ended:
            await retire(self._ledger, job)  # nothing matched, so that no shard's end does
        return await self._ledger.shards.to_announce(self._job_id) if end is TurnEnd.OPENED else []

    def _around(self) -> Surroundings:
        stopping = self._process.stopping
        return Surroundings(self._ledger, self._settings, self._worker, stopping, self._turn_s, self._open_list)

    async def _turn(self, turn: ListTurn | None) -> TurnEnd | None:
        """Take a turn, and pause or end the job where it comes to nothing."""
        if turn is None or not await self._may_read():
            return None
        try:
            return await turn.take()
        except LeaseLost:
            return None
        except TooManyRows as error:
            await self._end(
                TOO_MANY_ROWS_CODE,
                f"more than {error.most:,} completions match, which is the most that a job may have "
                "(RELABEL_INPUT__MAX_ROWS); narrow the selection",
            )
        except StateLost:
            await self._pause(STATE_LOST_CODE, LOST_REASON)
        except Refusal as refusal:
            await self._refused(refusal)
        except AWAY:
            raise
        except Exception as error:  # noqa: BLE001 - as of a shard (`worker.runtime`)
            fields = {"job": self._job_id, "error": type(error).__name__, "traceback": safe_traceback(error)}
            log.error("worker met an error of its own", extra=fields)
            why = (
                f"worker {self._worker} met an error of its own ({type(error).__name__}); see the traceback in its log"
            )
            await self._pause("worker_error", why)
        return None

    async def _may_read(self) -> bool:
        """Return whether this worker calls the job's API, and has a key; else leave it to another or pause the job."""
        target, called = (await self._ledger.jobs.get(self._job_id)).spec.target, self._settings.openai_base_url
        if target != called:
            if await self._waited_s() > OTHERS_START_S and not await self._ledger.workers.call(target):
                await self._pause("other_target", f"the job is for {target}, worker {self._worker} calls {called}")
            return False
        try:
            trouble = "" if await asyncio.to_thread(read_api_key, self._settings) else "there is no key"
        except KeyUnavailable as error:
            trouble = str(error)
        if trouble:
            await self._refused(StopJob(NO_KEY_CODE, trouble))
        return not trouble

    async def _refused(self, refusal: Refusal) -> None:
        """Decide who goes on: another worker, the next turn once the API works again, or nobody, as the job pauses."""
        reason = why_unreadable(refusal, self._settings)
        if isinstance(refusal, KeyRefused) or refusal.code == NO_KEY_CODE:
            key = WorkerKey(self._ledger, self._process.standby, endpoint=endpoint_of(self._settings))
            await key.refused(self._job_id, StopJob(refusal.code, refusal.message, status=refusal.status))
        elif isinstance(refusal, Retryable) and refusal.endpoint_fails and await self._waited_s() < FAILING_S:
            log.warning("the list cannot be read; it is tried again", extra={"job": self._job_id, "code": refusal.code})
        else:
            await self._pause(known_code(refusal.code), reason)

    async def _waited_s(self) -> float:
        selection = (await self._ledger.jobs.get(self._job_id)).selection
        return await self._ledger.jobs.now() - selection.read_at if selection else FAILING_S

    async def _pause(self, code: str, reason: str) -> None:
        await self._ledger.jobs.pause(self._job_id, by=self._worker, code=code, reason=reason)

    async def _end(self, code: str, reason: str) -> None:
        entry = audit_entry(self._worker, "cancel", reason)
        await self._ledger.jobs.move(
            self._job_id, JobState.CANCELLED, come_from=(READING,), code=code, reason=reason, entry=entry
        )
        await retire(self._ledger, await self._ledger.jobs.get(self._job_id))
