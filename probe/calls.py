"""Reads and writes one completion, with retries and backoff, at the shared rate."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from completions.client import CompletionsApi
from completions.errors import KeyRefused, RateLimited, Retryable
from completions.list_page import ListQuery, Page
from completions.reply import Reply
from completions.retry_after import backoff
from ratelimit.limiter import RateLimiter

ATTEMPTS = 4
"""Tries of a call that fails with a retryable error."""
SLOT_S, URGENT_SLOT_S = 60.0, 2.0
"""Longest waits for a slot, in seconds: of a call that is then not made, and of an urgent one that is made anyway."""

AnyMetadata = Mapping[str, str | None] | None
"""Metadata as an update may name it: null for a value or for the map is what a probe asks about."""


class TimedReply(NamedTuple):
    """A reply, and the seconds that it took."""

    reply: Reply
    took_s: float


class RetryingCalls:
    """Reads and writes one completion, and reads pages of the list.

    `in_doubt`: a write that got no answer may still be carried out.
    """

    def __init__(self, api: CompletionsApi, limiter: RateLimiter, completion_id: str, *, name: str) -> None:
        self._api = api
        self._limiter = limiter
        self.completion_id = completion_id
        self._name = name
        self._number = 0
        self.wrote = False
        self.in_doubt = False

    async def read(self, *, urgent: bool = False) -> TimedReply:
        """Return what the completion holds.

        Raises:
            Refusal: it was refused, or its tries were used up.
            TimeoutError: the shared rate had no slot; an urgent call is made without one.

        """
        return await self._call(
            lambda name: self._api.read(self.completion_id, request_name=name), write=False, urgent=urgent
        )

    async def write(self, metadata: AnyMetadata, *, urgent: bool = False) -> TimedReply:
        """Send the metadata and return the service's reply.

        Raises:
            Refusal: it was refused, or its tries were used up.
            TimeoutError: the shared rate had no slot; an urgent call is made without one.

        """
        return await self._call(
            lambda name: self._api.update(self.completion_id, metadata, request_name=name), write=True, urgent=urgent
        )

    async def page(self, query: ListQuery, *, after: str | None) -> Page:
        """Return the page of the list that follows this completion, None for the first; it is tried once.

        Raises:
            Refusal: it was refused, or failed.
            TimeoutError: the shared rate had no slot.

        """
        await self._slot(write=False, urgent=False)
        self._number += 1
        try:
            return await self._api.list_page(query, after=after, request_name=f"{self._name}-{self._number}")
        except RateLimited as refusal:
            await self._limiter.pause(refusal.retry_after, sent_s_ago=refusal.sent_s_ago)
            raise

    async def _call(self, call: Callable[[str], Awaitable[Reply]], *, write: bool, urgent: bool) -> TimedReply:
        failures, renewed = 0, False
        while True:
            await self._slot(write=write, urgent=urgent)
            self._number += 1
            try:
                return await self._once(call(f"{self._name}-{self._number}"), write=write)
            except RateLimited as refusal:
                await self._limiter.pause(refusal.retry_after, sent_s_ago=refusal.sent_s_ago)
            except KeyRefused as refusal:
                if renewed or not await self._api.credential.renew(refusal):
                    raise
                renewed = True
            except Retryable as refusal:
                failures += 1
                if failures == ATTEMPTS:
                    raise
                await asyncio.sleep(refusal.retry_after or backoff(failures))

    async def _once(self, call: Awaitable[Reply], *, write: bool) -> TimedReply:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.wrote = self.wrote or write
        try:
            return TimedReply(await call, loop.time() - began)
        except Retryable as refusal:
            self.in_doubt = self.in_doubt or refusal.ambiguous
            raise
        except asyncio.CancelledError:
            self.in_doubt = self.in_doubt or write
            raise

    async def _slot(self, *, write: bool, urgent: bool) -> None:
        try:
            async with asyncio.timeout(URGENT_SLOT_S if urgent else SLOT_S):
                await self._limiter.acquire(write=write)
        except TimeoutError:
            if not urgent:
                raise
