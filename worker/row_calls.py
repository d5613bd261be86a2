"""Sends a row's requests: each with its slot of the rate, a write only while lease, claim and read allow it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from completions.errors import KeyRefused, NotSent, Retryable, RowFailed
from completions.reply import Reply
from ledger.clock import Clocks
from ledger.codec import BeforeImage
from ledger.records import Record
from ledger.row import Metadata
from ratelimit.breaker import CircuitBreaker
from ratelimit.limiter import RateLimiter
from worker.checked_api import CheckedApi
from worker.fence import WriteGate
from worker.read_ahead import ReadAhead
from worker.run_counters import RunCounters
from worker.update import Body

SLOT_KEPT_S = 0.25
"""Seconds after which a slot that waited for the journal is dropped: none accumulate while the ledger is away."""


class RowContext(NamedTuple):
    """What the rows of a run share. `pause_for` waits so many seconds, or raises HandBack when the run drains."""

    api: CheckedApi
    limiter: RateLimiter
    journal: Callable[[BeforeImage], Awaitable[None]]
    pause_for: Callable[[float], Awaitable[None]]
    breaker: CircuitBreaker
    counters: RunCounters
    replay: Callable[[Record, Metadata], Awaitable[Metadata | None]]
    clocks: Clocks
    ahead: ReadAhead


class RowCalls:
    """The requests about one completion. `is_outdated` tells whether a write is made from a read that is too old.

    `sent_at` is when the last request left, `wrote_last` whether it was an update.
    """

    def __init__(
        self, context: RowContext, gate: WriteGate, completion_id: str, *, name: str, is_outdated: Callable[[], bool]
    ) -> None:
        self._context = context
        self._gate = gate
        self._completion_id = completion_id
        self._name = name
        self._is_outdated = is_outdated
        self._number = 0
        self._has_slot = False
        self._sent_with_new_key = False
        self.sent_at = context.clocks.read()
        self.wrote_last = False

    async def read(self) -> Reply:
        """Read the completion and return the reply; read again where it shows no metadata. Two nulls count as empty.

        Raises:
            Refusal: the request did not succeed; its class is the decision.
            HandBack: the run ended before there was a slot.

        """
        first = await self._send(write=None)
        if first.metadata is not None:
            return first
        second = await self._send(write=None)
        return second._replace(metadata={}) if first.is_null and second.is_null else second

    async def update(self, metadata: Body) -> Reply:
        """Send the metadata and return the reply.

        Raises:
            Refusal: the request did not succeed; its class is the decision.
            NotSent: nothing was sent; the row begins its try again.
            HandBack: the run ended before there was a slot.

        """
        return await self._send(write=metadata)

    async def journal(self, image: BeforeImage) -> None:
        """Store a before-image, once there is a slot for its write.

        An image of a row that gets no slot, as its job is paused, would be undone for nothing.
        """
        await self._take_slot(write=True)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._context.journal(image)
        self._has_slot = loop.time() - began < SLOT_KEPT_S

    async def _send(self, *, write: Body | None) -> Reply:
        context = self._context
        self.wrote_last = write is not None
        await self._take_slot(write=self.wrote_last)
        self._has_slot = False
        self.sent_at = context.clocks.read()
        context.counters.requests += 1
        context.counters.in_flight += 1
        try:
            reply = await self._call(write)
        except (Retryable, RowFailed) as refusal:
            self._note_answer(failed=isinstance(refusal, Retryable) and refusal.endpoint_fails)
            raise
        except NotSent:
            context.counters.requests -= 1
            raise
        except KeyRefused as refusal:
            if self._sent_with_new_key or not await context.api.renew_key(refusal):
                raise
            self._sent_with_new_key = True
            context.counters.retries += 1
            raise NotSent from None  # the API did nothing: the try begins again, with the new key
        finally:
            context.counters.in_flight -= 1
        self._note_answer(failed=False)
        self._sent_with_new_key = False
        return reply

    def _note_answer(self, *, failed: bool) -> None:
        self._context.breaker.record(write=self.wrote_last, succeeded=not failed)
        if not failed:
            self._context.limiter.note_answered()

    async def _take_slot(self, *, write: bool) -> None:
        if not self._has_slot:
            await self._context.limiter.acquire(write=write)
            self._has_slot = True
        if write:
            await self._check_may_write()

    async def _check_may_write(self) -> None:
        """Raise NotSent where the row has to begin its try again: the lease was not sure, or the read is too old."""
        if not self._gate.is_open():
            self._has_slot = False  # it would be too late by the time that the gate opens
            await self._gate.wait()
            raise NotSent
        if self._is_outdated():
            raise NotSent

    async def _call(self, write: Body | None) -> Reply:
        name = f"{self._name}-{self._number}"
        self._number += 1
        api, completion_id = self._context.api, self._completion_id
        if write is None:
            return await api.read(completion_id, request_name=name)
        return await api.update(completion_id, write, request_name=name, may_leave=self._gate.is_open)
