"""Hands out a shard's rows, each once no other job has its completion in flight."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from ledger.cancellation import is_cancelled
from ledger.claims import Claimant, Claims, GivenUp, NoClaims, Swapped, claim_of
from ledger.connect import AWAY
from ledger.errors import LeaseLost, StateLost
from ledger.records import LEAST_LIFE_S, Record
from ledger.row import Patch
from ledger.shards import LeasedShard
from ratelimit.limiter import HandBack
from worker.redis_outage import retry_while_unavailable

TAKE_TOGETHER = 64
"""Rows that are claimed in one round trip."""
RETRY_CLAIM_S = 0.3
"""Wait before claiming again where other jobs have all rows that are left."""


class ClaimedRow(NamedTuple):
    """A row to carry out, and the claim on its completion.

    `taken_over`: an earlier worker of this job had the claim, and its write may have happened or may still be running.
    `record` holds the last writes, if they are recent. `not_before` is when a postponed row may begin, on the loop's
    clock.
    """

    row: int
    patch: Patch
    claim: str
    taken_over: bool = False
    record: Record | None = None
    not_before: float = 0.0


class RowQueue:
    """The rows of one shard's run, in this `order` of their numbers; None: as they are stored.

    A row whose completion another job has claimed goes to the end of the queue.
    """

    def __init__(
        self,
        shard: LeasedShard,
        claims: Claims | NoClaims,
        *,
        life_s: float,
        record_life_s: float = LEAST_LIFE_S,
        pause_for: Callable[[float], Awaitable[None]],
        order: Sequence[int] | None = None,
    ) -> None:
        spec = shard.spec
        self._left = deque(
            ClaimedRow(row, shard.todo[row], claim_of(spec.target, shard.todo[row].completion_id))
            for row in order or shard.todo
        )
        self._claimant = Claimant(shard.owner, life_s, spec.job_id, shard.number, record_life_s)
        self._claims = claims
        self._pause_for = pause_for
        self._ready: deque[ClaimedRow] = deque()
        self._postponed: list[ClaimedRow] = []
        self._held: set[str] = set()
        self._released: list[GivenUp] = []
        self._blocked: dict[str, str] = {}
        self._claiming = asyncio.Lock()
        self._swapping = asyncio.Lock()

    async def next(self, *, from_afar: bool = False) -> ClaimedRow | None:
        """Return the next row, claimed; None where none is left or the run is ending.

        With `from_afar` it is one of those that are claimed already which is far from the last ones.

        Raises:
            LeaseLost: another worker has the shard.
            StateLost: the job is gone.

        """
        if self._ready:
            return self._ready.pop() if from_afar else self._ready.popleft()
        async with self._claiming:
            while not self._ready and (self._left or self._postponed) and not is_cancelled():
                await retry_while_unavailable(self._claim_some)
                if not self._ready:
                    try:
                        await self._pause_for(RETRY_CLAIM_S)
                    except HandBack:
                        return None
            return self._ready.popleft() if self._ready else None

    def done(self, row: ClaimedRow, *, may_still_run: bool = False, record: Record | None = None) -> None:
        """Release the row's claim with the next round trip, and leave the record of what was written in its place.

        Where a write of the row may still be running, its claim is left to expire: that write must not overtake one
        of another job.
        """
        if row.claim in self._held and not may_still_run:
            self._released.append(GivenUp(row.claim, record))
        self._held.discard(row.claim)

    def postpone(self, row: ClaimedRow, seconds: float, *, keeps_claim: bool = False) -> None:
        """Postpone a row behind all others; without its claim, unless it was written or may be, and is to be read."""
        if not keeps_claim:
            self.done(row)
        at = asyncio.get_running_loop().time() + seconds
        self._postponed.append(row._replace(taken_over=False, record=None, not_before=at))

    def holds(self, claim: str) -> bool:
        """Return whether the claim is ours, by the last round trip."""
        return claim in self._held

    def lose(self, claims: Iterable[str]) -> None:
        """Record that these claims are lost; rows that were not begun wait for them again."""
        lost = set(claims)
        self._held -= lost
        for row in [row for row in self._ready if row.claim in lost]:
            self._ready.remove(row)
            self.put_back(row)

    def put_back(self, row: ClaimedRow) -> None:
        """Return a row to the queue that was begun and lost its claim before it wrote."""
        self._held.discard(row.claim)
        self._left.append(row._replace(taken_over=False, record=None))

    @property
    def blocked(self) -> tuple[int, str]:
        """The number of rows that wait for another job's claim, and the id of one such job ('' where not known)."""
        return len(self._blocked), next(iter(self._blocked.values()), "")

    async def keep(self) -> None:
        """Renew the claims that are held, and release those of rows that are done.

        Where a claim is lost, its row waits for it again; `holds` is false for one that was begun.

        Raises:
            LeaseLost: another worker has the shard.
            StateLost: the job is gone.

        """
        if not (self._held or self._released):
            return
        held = sorted(self._held)
        kept = (await self._swap(keep=held)).kept
        self.lose(claim for claim, is_ours in zip(held, kept, strict=True) if not is_ours)

    async def aclose(self) -> None:
        """Release the claims of rows that were not begun; where the ledger is away, they expire.

        The claims of rows that were cut off in mid-request, now or in an earlier run, expire too: the server may
        still be working on them.
        """
        self._released += [GivenUp(row.claim) for row in self._ready if not row.taken_over]
        self._held.clear()
        if self._released:
            with contextlib.suppress(LeaseLost, StateLost, *AWAY):
                await self._swap()

    async def _claim_some(self) -> None:
        self._requeue_postponed()
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

    def _requeue_postponed(self) -> None:
        """Append the postponed rows whose time has come to the queue."""
        now = asyncio.get_running_loop().time()
        self._left += [row for row in self._postponed if row.not_before <= now]
        self._postponed = [row for row in self._postponed if row.not_before > now]

    async def _swap(self, *, keep: Sequence[str] = (), take: Sequence[str] = ()) -> Swapped:
        async with self._swapping:  # a claim that is released must not be renewed by a trip that left before
            released, self._released = self._released, []
            try:
                return await self._claims.swap(self._claimant, give_up=released, keep=keep, take=take)
            except BaseException:
                self._released += released
                raise
