"""Keeps the lease on a shard while it is run, and reads with each renewal whether the job is to go on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from ledger.cancellation import is_cancelled
from ledger.clock import Clocks
from ledger.connect import AWAY
from ledger.errors import LeaseLost
from ledger.job import JobState, Traffic
from ledger.progress import LastError, Waits
from ledger.shards import LeasedShard, Shards
from worker.drain import Drain
from worker.fence import LeaseFence
from worker.row_queue import RowQueue

KEEP_EVERY_S = 1.0
"""How often the lease is renewed and the job's state is read: pause and cancel take effect after this."""


class LeaseKeeper:
    """Renews the lease and the claims of one run. `fence` is open as long as the last renewal is recent.

    Each renewal reports what the rows wait for (`read_waits`), what the run cost so far (`read_traffic`) and the last
    error (`take_error`), after which `on_renewed` is awaited.
    """

    def __init__(
        self,
        shard: LeasedShard,
        shards: Shards,
        queue: RowQueue,
        drain: Drain,
        *,
        clocks: Clocks,
        read_waits: Callable[[], Waits],
        read_traffic: Callable[[], Traffic],
        take_error: Callable[[], LastError | None],
        on_renewed: Callable[[], Awaitable[None]],
    ) -> None:
        self._shard = shard
        self._shards = shards
        self._queue = queue
        self._drain = drain
        self._clocks = clocks
        self._read_waits = read_waits
        self._read_traffic = read_traffic
        self._take_error = take_error
        self._on_renewed = on_renewed
        self.fence = LeaseFence(clocks)

    async def run(self) -> None:
        """Renew the lease and read whether the job is to go on, until cancelled.

        Raises:
            LeaseLost: another worker has the shard.

        """
        while not is_cancelled():
            with contextlib.suppress(*AWAY):  # while the ledger is away, the fence stops all writes
                await self.renew()
            await asyncio.sleep(KEEP_EVERY_S)

    async def renew(self) -> None:
        """Renew the lease once; no row starts any more where the job does not run.

        Raises:
            LeaseLost: another worker has the shard.

        """
        waits = self._read_waits()
        sent = self._clocks.read()
        await self._queue.keep()
        state = await self._shards.renew(self._shard, waits, self._take_error(), self._read_traffic())
        if state is None:
            self.fence.lose()
            raise LeaseLost(self._shard.spec.job_id)
        if state is not JobState.RUNNING:
            self._drain.stop_starting_rows()
        self.fence.confirm(sent)
        await self._on_renewed()
