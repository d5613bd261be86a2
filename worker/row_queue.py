"""The rows of a turn, each handed out once no other job has its completion in flight."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from ledger.cancellation import is_cancelled
from ledger.claims import Claimant, Claims, GivenUp, Swapped, claim_of
from ledger.connect import AWAY
from ledger.errors import LeaseLost, StateLost
from ledger.records import LEAST_LIFE_S, Record
from ledger.row import Patch
from ledger.shards import LeasedShard
from ratelimit.limiter import HandBack
from worker.redis_outage import retry_while_unavailable

TAKE_TOGETHER = 64
"""Rows that are claimed in one round trip; they wait no longer than the rows before them take."""
ASK_AGAIN_S = 0.3
"""Wait where all rows that are left are another job's just now."""


class ClaimedRow(NamedTuple):
    """A row to carry out, and the claim on its completion.

    `taken_over`: an earlier worker of this job had the claim, and its write may have happened or may still be running.
    `record` tells of the last writes, if they are not long ago. `not_before` is when a row that waits may begin again.
    """

    row: int
    patch: Patch
    claim: str
    taken_over: bool = False
    record: Record | None = None
    not_before: float = 0.0


class RowQueue:
    """Hands rows out. One whose completion another job works on goes to the end of the queue."""

    def __init__(
        self,
        shard: LeasedShard,
        claims: Claims,
        *,
        life_s: float,
        record_life_s: float = LEAST_LIFE_S,
        pause_for: Callable[[float], Awaitable[None]],
    ) -> None:
        spec = shard.spec
        self._left = deque(
            ClaimedRow(row, patch, claim_of(spec.target, patch.completion_id)) for row, patch in shard.todo.items()
        )
        self._claimant = Claimant(shard.owner, life_s, spec.job_id, shard.number, record_life_s)
        self._claims = claims
        self._pause_for = pause_for
        self._ready: deque[ClaimedRow] = deque()
        self._resting: list[ClaimedRow] = []
        self._held: set[str] = set()
        self._ended: list[GivenUp] = []
        self._blocked: dict[str, str] = {}
        self._turn = asyncio.Lock()
        self._trip = asyncio.Lock()

    async def next(self) -> ClaimedRow | None:
        """Return the next row, claimed; None where none is left or the turn is ending.

        Raises:
            LeaseLost: the shard is another's by now.
            StateLost: the job is gone.

        """
        if self._ready:
            return self._ready.popleft()
        async with self._turn:
            while not self._ready and (self._left or self._resting) and not is_cancelled():
                await retry_while_unavailable(self._take_some)
                if not self._ready:
                    try:
                        await self._pause_for(ASK_AGAIN_S)
                    except HandBack:
                        return None
            return self._ready.popleft() if self._ready else None

    def done(self, row: ClaimedRow, *, may_still_run: bool = False, record: Record | None = None) -> None:
        """Let others have the completion, with the next round trip, and find the record of what was written.

        Where a write of the row may still be running, its claim is left to end by itself: nobody of another job may
        be overtaken by it.
        """
        if row.claim in self._held and not may_still_run:
            self._ended.append(GivenUp(row.claim, record))
        self._held.discard(row.claim)

    def rest(self, row: ClaimedRow, seconds: float, *, may_still_run: bool = False) -> None:
        """Let a row wait that wrote nothing in this turn, behind all others and without its claim (see `done`)."""
        self.done(row, may_still_run=may_still_run)
        at = asyncio.get_running_loop().time() + seconds
        self._resting.append(row._replace(taken_over=False, record=None, not_before=at))

    def holds(self, claim: str) -> bool:
        """Return whether the claim is ours, as far as the last round trip told."""
        return claim in self._held

    def lose(self, claims: Iterable[str]) -> None:
        """Note that these claims are not ours any more; rows that were not begun wait for them anew."""
        lost = set(claims)
        self._held -= lost
        for row in [row for row in self._ready if row.claim in lost]:
            self._ready.remove(row)
            self.put_back(row)

    def put_back(self, row: ClaimedRow) -> None:
        """Let a row wait that was begun, as its claim was lost before it wrote."""
        self._held.discard(row.claim)
        self._left.append(row._replace(taken_over=False, record=None))

    @property
    def blocked(self) -> tuple[int, str]:
        """The number of rows that wait for another job's claim, and the id of one such job ('' where not known)."""
        return len(self._blocked), next(iter(self._blocked.values()), "")

    async def keep(self) -> None:
        """Renew the claims that are held, and give up those that are done with.

        A claim that is gone is noted: its row waits for it anew, and `holds` says so of one that was begun.

        Raises:
            LeaseLost: the shard is another's by now.
            StateLost: the job is gone.

        """
        if not (self._held or self._ended):
            return
        held = sorted(self._held)
        kept = (await self._swap(keep=held)).kept
        self.lose(claim for claim, is_ours in zip(held, kept, strict=True) if not is_ours)

    async def aclose(self) -> None:
        """Give up what was not begun; where the ledger is away, the claims run out.

        So do the claims of rows that were cut off in mid-request, now or in an earlier turn: the server may still be
        at them.
        """
        self._ended += [GivenUp(row.claim) for row in self._ready if not row.taken_over]
        self._held.clear()
        if self._ended:
            with contextlib.suppress(LeaseLost, StateLost, *AWAY):
                await self._swap()

    async def _take_some(self) -> None:
        self._wake()
        wanted = [self._left[place] for place in range(min(TAKE_TOGETHER, len(self._left)))]
        if not wanted:
            return
        taken = (await self._swap(take=[row.claim for row in wanted])).taken
        for row, claim in zip(wanted, taken, strict=True):
            self._left.popleft()
            if claim.is_ours:
                self._blocked.pop(row.claim, None)
                self._held.add(row.claim)
                self._ready.append(row._replace(taken_over=claim.taken_over, record=claim.record))
            else:
                self._blocked[row.claim] = claim.blocked_by
                self._left.append(row)

    def _wake(self) -> None:
        """Let rows that have waited long enough stand behind the others."""
        now = asyncio.get_running_loop().time()
        self._left += [row for row in self._resting if row.not_before <= now]
        self._resting = [row for row in self._resting if row.not_before > now]

    async def _swap(self, *, keep: Sequence[str] = (), take: Sequence[str] = ()) -> Swapped:
        async with self._trip:  # a claim that is given up must not be renewed by a trip that left before
            ended, self._ended = self._ended, []
            try:
                return await self._claims.swap(self._claimant, give_up=ended, keep=keep, take=take)
            except BaseException:
                self._ended += ended
                raise
