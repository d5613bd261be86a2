"""Keeps a worker that was stopped or suspended from writing late (docs/reliability.md).

A lease protects the ledger, not the API: whoever wakes up with a request at hand would send it over what others have
written meanwhile. So each write asks here, as late as can be, how long ago lease and claims were last confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ledger.clock import CLOCKS, Clocks, Reading
from ledger.errors import LeaseLost
from ratelimit.limiter import HandBack

FENCE_S = 6.0
"""Age of the last confirmed renewal past which nothing is sent; a lease lives `ledger.shards.LEASE_S`, 8 s."""


class ClaimLost(HandBack):
    """The row's claim ended before its write left: it waits for the claim anew, and is read again."""


class LeaseFence:
    """Tells whether a turn's lease and claims are surely its own. The turn's keeper confirms each renewal."""

    def __init__(self, clocks: Clocks = CLOCKS) -> None:
        self._clocks = clocks
        self._renewed: Reading | None = None
        self._confirmed = asyncio.Event()
        self._is_lost = False

    def confirm(self, sent: Reading) -> None:
        """Note a renewal that was confirmed; its age counts from before it was sent."""
        self._renewed = sent
        self._confirmed.set()

    def lose(self) -> None:
        """Note that the lease is another's: nobody passes any more."""
        self._is_lost = True
        self._confirmed.set()

    @property
    def holds(self) -> bool:
        """Whether the last confirmed renewal is young enough for others to be kept out still."""
        return not self._is_lost and self._renewed is not None and self._clocks.age_s(self._renewed) <= FENCE_S

    async def passed(self) -> None:
        """Wait until the fence holds; the owner bounds it by cancelling.

        Raises:
            LeaseLost: the shard is another's by now.

        """
        while not self.holds:
            if self._is_lost:
                raise LeaseLost
            self._confirmed.clear()
            await self._confirmed.wait()


class WriteGate:
    """Lets one row's writes leave while its lease and its claim are surely ours."""

    def __init__(self, fence: LeaseFence, *, holds_claim: Callable[[], bool], is_stopped: Callable[[], bool]) -> None:
        self._fence = fence
        self._holds_claim = holds_claim
        self._is_stopped = is_stopped

    def is_open(self) -> bool:
        """Return whether a write may leave at this moment."""
        return self._fence.holds and self._holds_claim()

    async def passed(self) -> None:
        """Wait until a write may leave.

        Raises:
            HandBack: the run was stopped meanwhile.
            ClaimLost: another job may have changed the completion.
            LeaseLost: the shard is another's by now.

        """
        if not self._fence.holds:
            await self._fence.passed()
            if self._is_stopped():
                raise HandBack
        if not self._holds_claim():
            raise ClaimLost
