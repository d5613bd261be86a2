"""What a worker does whose key is refused: it stands aside where others' keys are accepted, else the job pauses."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing

from completions.errors import StopJob
from ledger.ledger import Ledger

NOTE_EVERY_S = 10.0
"""How often a process records that its key is accepted."""
ACCEPTED_WITHIN_S = 60.0
"""Age at which an accepted key of another worker says nothing any more."""
RETRY_DELAY_S = 5.0
"""Time that other workers get for their first request before a refused key pauses the job."""
LOOK_EVERY_S = 0.25

log = logging.getLogger(__name__)


class Aside:
    """Whether this worker takes no shards, as its key is refused: shared by its processes, made before the fork.

    `worker` is the worker's name. It is quiet once its consumer has left the queue.
    """

    _AT_WORK, _REFUSED, _QUIET = range(3)

    def __init__(self, worker: str = "") -> None:
        self._state = multiprocessing.Value("b", self._AT_WORK, lock=False)
        self.worker = worker

    @property
    def is_set(self) -> bool:
        """Whether the worker is to take no shards."""
        return bool(self._state.value != self._AT_WORK)

    @property
    def is_quiet(self) -> bool:
        """Whether it gets no messages either."""
        return bool(self._state.value == self._QUIET)

    def set(self) -> None:
        """Take no more shards."""
        if not self.is_set:
            self._state.value = self._REFUSED

    def quiet(self) -> None:
        """Note that no messages come any more."""
        self._state.value = self._QUIET

    def end(self) -> None:
        """Take shards again."""
        self._state.value = self._AT_WORK

    async def until_quiet(self, *, within_s: float) -> None:
        """Wait until no messages come any more, so that what this worker announces goes to another."""
        deadline = asyncio.get_running_loop().time() + within_s
        while self.is_set and not self.is_quiet and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_EVERY_S)  # another process sets it


class OwnKey:
    """The key of this worker at an endpoint, beside those of others there; `endpoint` is the same for all of them."""

    def __init__(self, ledger: Ledger, aside: Aside, *, endpoint: str) -> None:
        self._ledger = ledger
        self._aside = aside
        self._endpoint = endpoint
        self._noted_at = float("-inf")

    async def note_accepted(self, accepted_at: float) -> None:
        """Record for other workers that a request was answered at this time of the loop's clock."""
        if accepted_at - self._noted_at >= NOTE_EVERY_S and not self._aside.is_set:
            await self._ledger.accepted_keys.note(self._endpoint, self._aside.worker)
            self._noted_at = accepted_at

    async def refused(self, job_id: str, error: StopJob) -> None:
        """Stand aside where another worker's key is accepted, else pause the job with a reason that names this one."""
        if self._aside.is_set:
            return
        # or workers whose keys are refused at the same time would each stand aside for the other
        await self._ledger.accepted_keys.forget(self._endpoint, self._aside.worker)
        if await self._is_accepted_elsewhere():
            self._aside.set()
            what = (
                "The API refuses this worker's key and accepts those of others: it takes no shards until its key works."
            )
            log.error("%s", what, extra={"job": job_id, "code": error.code})
            return
        status = f" (HTTP {error.status})" if error.status else ""
        reason = f"{error.message.rstrip('.')}{status}; correct the key of worker {self._aside.worker or 'this job'}"
        await self._ledger.jobs.pause(job_id, code=error.code, reason=reason)

    async def _is_accepted_elsewhere(self) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RETRY_DELAY_S
        while True:
            if await self._ledger.accepted_keys.elsewhere(
                self._endpoint, self._aside.worker, within_s=ACCEPTED_WITHIN_S
            ):
                return True
            if loop.time() > deadline or not await self._others_work():
                return False
            await asyncio.sleep(LOOK_EVERY_S)

    async def _others_work(self) -> bool:
        workers = await self._ledger.shards.workers()
        return any(not worker.key_refused and worker.name != self._aside.worker for worker in workers)
