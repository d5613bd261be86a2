"""Requests with an `Idempotency-Key`: sent again, one makes no second job, whatever became of the first."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from ledger.connect import AWAY
from ledger.errors import JobIdTaken, NoSuchJob
from ledger.idempotency import LOCK_S, IdempotencyKeys, SubmittedWithKey
from ledger.job import JobState
from ledger.job_id import new_job_id
from ledger.ledger import Ledger
from web.refusals import Refusal

Make = Callable[[str], Awaitable[str | None]]
"""Makes the job of a request under the id that is kept for it, or finds one; returns the id, None for no job."""


class KeyedRequest(NamedTuple):
    """A request of a caller with a key."""

    caller: str
    key: str

    @asynccontextmanager
    async def alone(self, ledger: Ledger) -> AsyncIterator[None]:
        """Hold the key while the request runs. Raises Refusal where another request with it is still running."""
        async with IdempotencyKeys(ledger.redis).lock(self.caller, self.key).held() as ours:
            if not ours:
                raise _in_progress()
            yield

    async def once(self, ledger: Ledger, digest: str, make: Make) -> tuple[str | None, bool]:
        """Return the job that the request makes, and whether it was made before; `digest` is that of the request.

        Raises:
            Refusal: the key was used for another request, or its job is still being stored.

        """
        keys = IdempotencyKeys(ledger.redis)
        known = await keys.find(self.caller, self.key)
        if known is not None and known.digest != digest:
            what = f"the key made job {known.job_id}, of other content or options."
            raise Refusal("idempotency_key_reused", what)
        if known is not None and await _is_there(ledger, known):
            return known.job_id, True
        kept = SubmittedWithKey(known.job_id if known else new_job_id(), digest, is_stored=False)
        await keys.keep(self.caller, self.key, kept)
        try:
            job_id = await make(kept.job_id)
        except JobIdTaken:  # by a request that its client left
            raise _in_progress() from None
        except Exception:
            await self._forget(ledger, kept)
            raise
        if job_id is None:
            await keys.forget(self.caller, self.key)
        else:
            await keys.keep(self.caller, self.key, SubmittedWithKey(job_id, digest))
        return job_id, False

    async def _forget(self, ledger: Ledger, kept: SubmittedWithKey) -> None:
        """Free the key of a request that was refused; where its job is there, or may be, it is not free."""
        with contextlib.suppress(*AWAY):
            try:
                await ledger.jobs.get(kept.job_id)
            except NoSuchJob:
                await IdempotencyKeys(ledger.redis).forget(self.caller, self.key)


async def _is_there(ledger: Ledger, known: SubmittedWithKey) -> bool:
    """Return whether the job of a request is there, or was; one that was left half stored is removed."""
    try:
        job = await ledger.jobs.get(known.job_id)
    except NoSuchJob:
        return known.is_stored  # then it has expired
    if job.state is not JobState.SUBMITTING or job.selection is not None:
        return True
    if await ledger.fingerprints.is_storing(known.job_id):
        raise _in_progress()
    await ledger.jobs.discard(known.job_id)
    return False


def _in_progress() -> Refusal:
    what = "the first request with this key is still running."
    return Refusal("idempotency_in_progress", what, retry_after_s=LOCK_S / 10)
