"""The rows of a turn, each handed out once no other job has its completion in flight."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ledger.cancellation import is_cancelled
from ledger.claims import Claims, claim_of
from ledger.connect import AWAY
from ledger.row import Patch
from ledger.shards import LeasedShard
from worker.errors import HandBack
from worker.group_writer import patiently

TAKE_TOGETHER = 64
"""Rows that are claimed in one round trip; they wait no longer than the rows before them take."""
ASK_AGAIN_S = 0.3
"""Wait where all rows that are left are another job's just now."""


class ClaimedRow(NamedTuple):
    """A row to carry out, and the claim on its completion."""

    row: int
    patch: Patch
    claim: str


class ClaimedRows:
    """Hands rows out. One whose completion another job works on goes to the end of the queue."""

    def __init__(self, shard: LeasedShard, claims: Claims, *, pause_for: Callable[[float], Awaitable[None]]) -> None:
        target = shard.spec.target
        self._left = deque(
            ClaimedRow(row, patch, claim_of(target, patch.completion_id)) for row, patch in shard.todo.items()
        )
        self._owner = shard.owner
        self._claims = claims
        self._pause_for = pause_for
        self._ready: deque[ClaimedRow] = deque()
        self._held: set[str] = set()
        self._ended: list[str] = []
        self._turn = asyncio.Lock()
        self._trip = asyncio.Lock()

    async def next(self) -> ClaimedRow | None:
        """Give the next row, claimed; None where none is left or the turn is ending."""
        if self._ready:
            return self._ready.popleft()
        async with self._turn:
            while not self._ready and self._left and not is_cancelled():
                await patiently(self._take_some)
                if not self._ready:
                    try:
                        await self._pause_for(ASK_AGAIN_S)
                    except HandBack:
                        return None
            return self._ready.popleft() if self._ready else None

    def done(self, row: ClaimedRow) -> None:
        """Let others have the completion, with the next round trip."""
        self._held.discard(row.claim)
        self._ended.append(row.claim)

    async def keep(self) -> None:
        """Keep what is claimed, and give up what is done with."""
        if self._held or self._ended:
            await self._swap(sorted(self._held))

    async def aclose(self) -> None:
        """Give up what was not begun; where the ledger is away, the claims run out.

        So do the claims of rows that were cut off in mid-request: the server may still be at them.
        """
        self._ended += [row.claim for row in self._ready]
        self._held.clear()
        with contextlib.suppress(*AWAY):
            await self.keep()

    async def _take_some(self) -> None:
        wanted = [self._left[place] for place in range(min(TAKE_TOGETHER, len(self._left)))]
        taken = await self._swap([row.claim for row in wanted])
        for row, is_ours in zip(wanted, taken, strict=True):
            self._left.popleft()
            if is_ours:
                self._held.add(row.claim)
                self._ready.append(row)
            else:
                self._left.append(row)

    async def _swap(self, take: list[str]) -> list[bool]:
        async with self._trip:  # a claim that is given up must not be renewed by a trip that left before
            ended, self._ended = self._ended, []
            try:
                return await self._claims.swap(self._owner, ended, take)
            except BaseException:
                self._ended += ended
                raise
