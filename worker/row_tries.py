"""Tries a row until it has ended: what is waited for, what counts as a try, and when a row is given up."""

from __future__ import annotations

from typing import Protocol

from completions.client import refuse_bad_id
from completions.errors import NotSent, RateLimited, Refusal, Retryable, RowFailed
from completions.retry_after import backoff
from ledger.codec import Detail, Tries
from ledger.row import Outcome
from ledger.settlements import Settlement
from worker import row_failures
from worker.row_calls import RowCalls, RowContext


class Attempt(Protocol):
    """What a try of a row consists of."""

    async def try_once(self) -> Settlement:
        """Carry the row out and return how it ended; raises a Refusal where a request did not succeed."""

    async def give_up(self, final_failure: Detail) -> Settlement:
        """Return how the row ended that failed too often; raises as `try_once`."""

    def note_ambiguous(self, refusal: Retryable) -> None:
        """Record that a request that did not succeed may have been carried out."""


class RowTries:
    """The tries of one row, over as many requests as it takes.

    `tried` counts its failures in earlier runs: tries may take longer than a run, and are bounded all the same.
    `failures` are those so far; `final_failure` is what the row ends with, once it is to be given up.
    """

    def __init__(
        self,
        context: RowContext,
        calls: RowCalls,
        row: int,
        completion_id: str,
        *,
        attempts: int,
        tried: Tries | None,
    ) -> None:
        self._context = context
        self._calls = calls
        self._row = row
        self._completion_id = completion_id
        self._attempts = attempts
        self.failures = tried.failures if tried else 0
        self.final_failure = tried.final_failure if tried else None

    async def carry_out(self, attempt: Attempt) -> Settlement:
        """Try until the row has ended, and return how.

        Raises:
            StopJob: no row can succeed until its cause is corrected.
            HandBack: the run ended before the row did.

        """
        while True:
            try:
                refuse_bad_id(self._completion_id)  # before a slot is taken for it
                if self.final_failure is not None:
                    return await attempt.give_up(self.final_failure)
                return await attempt.try_once()
            except RateLimited as refusal:
                self._context.counters.throttled += 1
                await self._context.limiter.pause(refusal.retry_after, sent_s_ago=refusal.sent_s_ago)
            except NotSent:
                continue
            except RowFailed as refusal:
                return self.failed(refusal)
            except Retryable as refusal:
                self.failures += 1
                if refusal.ambiguous:
                    attempt.note_ambiguous(refusal)
                if self.failures >= self._attempts and await self._should_give_up(refusal):
                    self.final_failure = self.final_failure or self.detail(refusal)
                else:
                    await self._back_off(refusal)

    def failed(self, refusal: Refusal) -> Settlement:
        """Return the end of a row that failed."""
        return Settlement(self._row, Outcome.FAILED, self.detail(refusal))

    def detail(self, refusal: Refusal) -> Detail:
        """Return what is stored of a refusal."""
        return row_failures.detail_of(refusal, completion_id=self._completion_id, failures=self.failures)

    async def _back_off(self, refusal: Retryable) -> None:
        counters = self._context.counters
        counters.retries += 1
        counters.backing_off += 1
        try:
            await self._context.pause_for(refusal.retry_after or backoff(self.failures))
        finally:
            counters.backing_off -= 1

    async def _should_give_up(self, refusal: Retryable) -> bool:
        """Return whether to fail the row after its last try; while the endpoint itself fails, it waits on."""
        if not refusal.endpoint_fails:
            return True
        return await self._context.breaker.row_at_fault(write=self._calls.wrote_last)
