"""A row's requests: each with its slot of the rate, and a write only while lease, claim and read allow it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from completions.client import Reply
from completions.errors import KeyRefused, NotSent, Retryable, RowFailed
from ledger.clock import Clocks
from ledger.codec import BeforeImage
from ledger.records import Record
from ledger.row import Metadata
from ratelimit.breaker import CircuitBreaker
from ratelimit.limiter import RateLimiter
from worker.checked_api import CheckedApi
from worker.fence import WriteGate
from worker.run_counters import RunCounters
from worker.update import Body

SLOT_KEPT_S = 0.25
"""Seconds after which a slot that waited for the journal is given up: none are saved up while the ledger is away."""


class Tools(NamedTuple):
    """What a row needs. `pause_for` sleeps, or raises HandBack when the turn ends meanwhile."""

    api: CheckedApi
    limiter: RateLimiter
    journal: Callable[[BeforeImage], Awaitable[None]]
    pause_for: Callable[[float], Awaitable[None]]
    health: CircuitBreaker
    counters: RunCounters
    replay: Callable[[Record, Metadata], Awaitable[Metadata | None]]
    clocks: Clocks


class RowCalls:
    """The requests about one completion. `is_outdated` tells whether what a write is made from was read too long ago.

    `sent_at` is when the last request left, `wrote_last` whether it was an update.
    """

    def __init__(
        self, tools: Tools, gate: WriteGate, completion_id: str, *, name: str, is_outdated: Callable[[], bool]
    ) -> None:
        self._tools = tools
        self._gate = gate
        self._completion_id = completion_id
        self._name = name
        self._is_outdated = is_outdated
        self._number = 0
        self._has_slot = False
        self._sent_with_new_key = False
        self.sent_at = tools.clocks.read()
        self.wrote_last = False

    async def read(self) -> Reply:
        """Read the completion; once more where no metadata is shown, and null counts as empty the second time.

        Raises:
            Refusal: one of its kinds, which says what to do.
            HandBack: the turn ended before there was a slot.

        """
        first = await self._send(write=None)
        if first.metadata is not None:
            return first
        second = await self._send(write=None)
        return second._replace(metadata={}) if first.is_null and second.is_null else second

    async def update(self, metadata: Body) -> Reply:
        """Send the metadata.

        Raises:
            Refusal: one of its kinds, which says what to do.
            NotSent: the row has to begin its try again.
            HandBack: the turn ended before there was a slot.

        """
        return await self._send(write=metadata)

    async def journal(self, image: BeforeImage) -> None:
        """Keep a before-image, when there is a slot for its write.

        An image of a row that gets no slot, as its job is paused, would be undone for nothing.
        """
        await self._take_slot(write=True)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._tools.journal(image)
        self._has_slot = loop.time() - began < SLOT_KEPT_S

    async def _send(self, *, write: Body | None) -> Reply:
        tools = self._tools
        self.wrote_last = write is not None
        await self._take_slot(write=self.wrote_last)
        self._has_slot = False
        self.sent_at = tools.clocks.read()
        tools.counters.requests += 1
        tools.counters.in_flight += 1
        try:
            reply = await self._call(write)
        except (Retryable, RowFailed) as refusal:
            failing = isinstance(refusal, Retryable) and refusal.endpoint_fails
            tools.health.saw(write=self.wrote_last, well=not failing)
            raise
        except NotSent:
            tools.counters.requests -= 1
            raise
        except KeyRefused as refusal:
            if self._sent_with_new_key or not await tools.api.renew_key(refusal):
                raise
            self._sent_with_new_key = True
            tools.counters.retries += 1
            raise NotSent from None  # nothing was done: the try begins again, with the new key
        finally:
            tools.counters.in_flight -= 1
        tools.health.saw(write=self.wrote_last, well=True)
        self._sent_with_new_key = False
        return reply

    async def _take_slot(self, *, write: bool) -> None:
        if not self._has_slot:
            await self._tools.limiter.acquire(write=write)
            self._has_slot = True
        if write:
            await self._check_may_write()

    async def _check_may_write(self) -> None:
        """Raise NotSent where the row has to begin its try again: the lease was not sure, or the read is too old."""
        if not self._gate.is_open():
            self._has_slot = False  # by the time that the gate opens it would be a late one
            await self._gate.passed()
            raise NotSent
        if self._is_outdated():
            raise NotSent

    async def _call(self, write: Body | None) -> Reply:
        name = f"{self._name}-{self._number}"
        self._number += 1
        api, completion_id = self._tools.api, self._completion_id
        if write is None:
            return await api.read(completion_id, request_name=name)
        return await api.update(completion_id, write, request_name=name, may_leave=self._gate.is_open)
