"""Measures how long work stands still after something was killed: until others have it, or until it goes on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ledger.connect import AWAY
from ledger.keys import JobKeys
from tests.harness.cluster import Cluster

LOOK_S = 0.1
"""Pause between two looks at the leases: what a recovery time is exact to."""

Lease = tuple[int, str]
"""A shard and the owner of its lease."""


@dataclass
class _Wanted:
    """What has to happen; `settled` is the number of rows that had settled when Redis was back, None until a look."""

    cause: str
    since: float
    leases: frozenset[Lease] = frozenset()
    settled: int | None = None

    def happened(self, settled: int, owners: Mapping[int, str], open_shards: Collection[int]) -> bool:
        if self.leases:
            return all(shard not in open_shards or owners.get(shard, name) != name for shard, name in self.leases)
        if self.settled is None:
            self.settled = settled
        return settled > self.settled


class RecoveryWatch:
    """The seconds for which the work of each killed part stood still, by cause, found by the leases of one job.

    The work of a killed process has recovered once each shard that it had leased has another lease or is closed;
    that of Redis, once a row more has settled than before.
    """

    def __init__(self, cluster: Cluster, job_id: str) -> None:
        self._cluster = cluster
        self._job_id = job_id
        self._waiting: list[_Wanted] = []
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._look_on())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def leases_of(self, processes: Collection[int]) -> frozenset[Lease]:
        """Return the leases that these processes have; none while Redis does not answer."""
        with contextlib.suppress(*AWAY):
            owners = await self._cluster.owners(self._job_id)
            return frozenset((shard, name) for shard, (pid, name) in owners.items() if pid in processes)
        return frozenset()

    def killed(self, cause: str, leases: Iterable[Lease]) -> None:
        """Wait from now on for the work of these leases to go on elsewhere."""
        if held := frozenset(leases):
            self._waiting.append(_Wanted(cause, time.monotonic(), held))

    def redis_is_back(self, cause: str) -> None:
        """Wait from now on for a row to be settled."""
        self._waiting.append(_Wanted(cause, time.monotonic()))

    async def _look_on(self) -> None:
        while True:
            with contextlib.suppress(*AWAY):
                await self._look()
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        job = await self._cluster.job(self._job_id) if self._waiting else None
        if job is None:
            return
        owners = {shard: name for shard, (_, name) in (await self._cluster.owners(self._job_id)).items()}
        open_shards = await self._open_shards()
        now = time.monotonic()
        for wanted in list(self._waiting):
            if wanted.happened(job.counts.settled, owners, open_shards):
                self.seconds[wanted.cause].append(now - wanted.since)
                self._waiting.remove(wanted)

    async def _open_shards(self) -> set[int]:
        keys = JobKeys(self._job_id)
        async with self._cluster.ledger.redis.pipeline(transaction=True) as pipe:
            for key in (keys.waiting, keys.announced, keys.leased):
                pipe.zrange(key, 0, -1)
            return {int(shard) for shards in await pipe.execute() for shard in shards}
