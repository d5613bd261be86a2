"""Keeps a worker that was stopped or suspended from writing late (docs/reliability.md).

A lease protects the ledger, not the API: a process that wakes up with a request at hand would send it over what others
have written meanwhile. So each write checks here, as late as possible, how long ago lease and claims were confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ledger.clock import CLOCKS, Clocks, Reading
from ledger.errors import LeaseLost
from ratelimit.limiter import HandBack

FENCE_S = 6.0
"""Seconds since the last confirmed renewal after which nothing is sent; a lease lives `ledger.shards.LEASE_S`, 8 s."""


class ClaimLost(HandBack):
    """The row's claim ended before its write left: the row waits for the claim and is read again."""


class LeaseFence:
    """Whether a run surely holds its lease and claims; the run's keeper confirms each renewal."""

    def __init__(self, clocks: Clocks = CLOCKS) -> None:
        self._clocks = clocks
        self._renewed: Reading | None = None
        self._confirmed = asyncio.Event()
        self._is_lost = False

    def confirm(self, sent: Reading) -> None:
        """Record a confirmed renewal, whose age counts from before it was sent."""
        self._renewed = sent
        self._confirmed.set()

    def lose(self) -> None:
        """Record that another worker has the lease: no write leaves any more."""
        self._is_lost = True
        self._confirmed.set()

    @property
    def holds(self) -> bool:
        """Whether the last confirmed renewal is at most `FENCE_S` old, so that no other worker can have the shard."""
        return not self._is_lost and self._renewed is not None and self._clocks.age_s(self._renewed) <= FENCE_S

    async def wait(self) -> None:
        """Wait until the fence holds; the owner bounds it by cancelling.

        Raises:
            LeaseLost: another worker has the shard.

        """
        while not self.holds:
            if self._is_lost:
                raise LeaseLost
            self._confirmed.clear()
            await self._confirmed.wait()


class WriteGate:
    """Lets one row's writes leave only while its lease and its claim are surely ours."""

    def __init__(self, fence: LeaseFence, *, holds_claim: Callable[[], bool], is_stopped: Callable[[], bool]) -> None:
        self._fence = fence
        self._holds_claim = holds_claim
        self._is_stopped = is_stopped

    def is_open(self) -> bool:
        """Return whether a write may leave at this moment."""
        return self._fence.holds and self._holds_claim()

    async def wait(self) -> None:
        """Wait until a write may leave.

        Raises:
            HandBack: the run was stopped meanwhile.
            ClaimLost: another job may have changed the completion.
            LeaseLost: another worker has the shard.

        """
        if not self._fence.holds:
            await self._fence.wait()
            if self._is_stopped():
                raise HandBack
        if not self._holds_claim():
            raise ClaimLost
