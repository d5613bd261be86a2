"""Decides what a refused key means: the worker goes on standby where others' keys work, else the job pauses."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import multiprocessing

from completions.errors import StopJob
from ledger.ledger import Ledger
from ledger.workers import Aside

NOTE_EVERY_S = 10.0
"""How often a process records that its key is accepted."""
ACCEPTED_WITHIN_S = 60.0
"""Seconds after which an accepted key of another worker proves nothing any more."""
OTHERS_WITHIN_S = 5.0
"""Seconds that other workers get for their first request before a refused key pauses the job."""
POLL_S = 0.25

FINGERPRINT_CHARS = 8
"""Hex digits of a key's fingerprint: enough for some hundred workers, too few to test a guessed key by."""

log = logging.getLogger(__name__)


class Standby:
    """Whether this worker takes no shards, and why; shared by its processes, made before the fork.

    `worker` is the worker's name.
    """

    _AT_WORK, _ASIDE, _UNSUBSCRIBED = range(3)
    _REASONS = tuple(Aside)

    def __init__(self, worker: str = "") -> None:
        self._state = multiprocessing.Value("b", self._AT_WORK, lock=False)
        self._reason = multiprocessing.Value("b", 0, lock=False)
        self._key = multiprocessing.Array("c", FINGERPRINT_CHARS, lock=False)
        self.worker = worker

    @property
    def is_on(self) -> bool:
        """Whether the worker is to take no shards."""
        return bool(self._state.value != self._AT_WORK)

    @property
    def is_unsubscribed(self) -> bool:
        """Whether its consumer has left the queue, so that it gets no messages either."""
        return bool(self._state.value == self._UNSUBSCRIBED)

    @property
    def reason(self) -> Aside:
        """Why it takes no shards."""
        return self._REASONS[self._reason.value] if self.is_on else Aside.NO

    @property
    def key(self) -> str:
        """The fingerprint of the key that one of its processes sent last, '' before the first."""
        return bytes(self._key.value).decode()

    def note_key(self, fingerprint: str) -> None:
        """Record the fingerprint of the key that is sent."""
        self._key.value = fingerprint.encode()

    def enter(self, reason: Aside = Aside.KEY_REFUSED) -> None:
        """Take no more shards."""
        if not self.is_on:
            self._reason.value = self._REASONS.index(reason)
            self._state.value = self._ASIDE

    def note_unsubscribed(self) -> None:
        """Record that its consumer has left the queue."""
        self._state.value = self._UNSUBSCRIBED

    def leave(self) -> None:
        """Take shards again."""
        self._state.value = self._AT_WORK

    async def wait_until_unsubscribed(self, *, within_s: float) -> None:
        """Wait until its consumer has left the queue, so that another worker gets what this one announces."""
        deadline = asyncio.get_running_loop().time() + within_s
        while self.is_on and not self.is_unsubscribed and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)  # another process sets it


def key_fingerprint(base_url: str, secret: str) -> str:
    """Return by what two keys of a service are told apart; '' for none. The key cannot be read from it."""
    digest = hashlib.sha256(f"relabel key\0{base_url}\0{secret}".encode()).hexdigest()
    return digest[:FINGERPRINT_CHARS] if secret else ""


class WorkerKey:
    """This worker's key at an endpoint, among those of others; all workers name the endpoint alike."""

    def __init__(self, ledger: Ledger, standby: Standby, *, endpoint: str) -> None:
        self._ledger = ledger
        self._standby = standby
        self._endpoint = endpoint
        self._noted_at = float("-inf")

    @property
    def worker(self) -> str:
        """The worker's name, '' where it has none."""
        return self._standby.worker

    async def note_accepted(self, accepted_at: float) -> None:
        """Record for other workers that a request was answered at this time of the loop's clock."""
        if accepted_at - self._noted_at >= NOTE_EVERY_S and not self._standby.is_on:
            await self._ledger.accepted_keys.note(self._endpoint, self._standby.worker)
            self._noted_at = accepted_at

    async def refused(self, job_id: str, error: StopJob, *, running_since: str = "") -> None:
        """Go on standby where another worker's key is accepted, else pause the job; its reason names this worker.

        `running_since` is as for `ledger.job_states.Jobs.pause`.
        """
        if self._standby.is_on:
            return
        # else workers whose keys are refused at the same time would each go on standby for the other
        await self._ledger.accepted_keys.forget(self._endpoint, self._standby.worker)
        if await self._others_are_accepted():
            self._standby.enter()
            what = (
                "The API refuses this worker's key and accepts those of others: it takes no shards until its key works."
            )
            log.error("%s", what, extra={"job": job_id, "code": error.code})
            return
        status = f" (HTTP {error.status})" if error.status else ""
        reason = f"{error.message.rstrip('.')}{status}; correct the key of worker {self._standby.worker or 'this job'}"
        by = self._standby.worker or "worker"
        await self._ledger.jobs.pause(job_id, by=by, code=error.code, reason=reason, running_since=running_since)

    async def _others_are_accepted(self) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + OTHERS_WITHIN_S
        while True:
            if await self._ledger.accepted_keys.elsewhere(
                self._endpoint, self._standby.worker, within_s=ACCEPTED_WITHIN_S
            ):
                return True
            if loop.time() > deadline or not await self._others_work():
                return False
            await asyncio.sleep(POLL_S)

    async def _others_work(self) -> bool:
        workers = await self._ledger.workers.living()
        return any(worker.takes_shards and worker.name != self._standby.worker for worker in workers)
