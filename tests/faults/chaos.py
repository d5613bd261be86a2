"""A run in which everything dies at random: `python -m tests.faults.chaos --seeds 20` (`make chaos SEEDS=20`).

A seed decides which of the parts is killed when, and which requests the API spoils. Two workers of two children
carry out a job; meanwhile children, whole workers, main processes alone and Redis are killed, workers are told to
end, and Redis is stopped, one of these every few tenths of a second to seconds. What was killed, or ended by itself,
is started again, as a supervisor would.

The job must end by itself, exact by the oracle (`tests.harness.oracle`). Extra requests are those beyond what the
rows need (a read each, a write where there is a change) and beyond what the API's own faults make necessary (the
same request again, and a read before it where a write may have happened): what kills and restarts cost. Their share
of the requests needed stays under 10 %.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from ledger.job import JobState
from tests.harness.cluster import Cluster
from tests.harness.oracle import Cost, check_exact, cost_of
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until
from tests.harness.worker_process import WorkerProcess

ROWS, SHARD_ROWS, WORKERS = 1500, 50, 2
SPOILT = {
    "error_500": 0.01,
    "error_500_after": 0.01,
    "reset_before": 0.01,
    "reset_after": 0.01,
    "rate_limited": 0.002,
    "slow": 0.01,
}
"""Share of requests that the API spoils, by how."""
MOST_EXTRA = 0.10
LEAST_LIVES = 5
"""Tries of a row: none fails although a fiftieth of its requests go wrong."""
STRIKE_AFTER_ROWS, STRIKE_ANYWAY_S = 30, 3.0
END_S = 300.0


class Report(NamedTuple):
    """What a seed came to."""

    seed: int
    struck: Counter[str]
    cost: Cost
    seconds: float

    def __str__(self) -> str:
        """One line for the table."""
        struck = ", ".join(f"{number} {name}" for name, number in sorted(self.struck.items()))
        sent, least, forced = self.cost
        extra = f"{sent} sent = {least} needed + {forced} forced + {self.cost.extra:.1%}"
        return f"seed {self.seed}: exact in {self.seconds:.0f} s, {extra}; {struck}"


class Chaos:
    """One seed's run on one cluster."""

    def __init__(self, cluster: Cluster, seed: int, rows: int) -> None:
        self._cluster = cluster
        self._rows = rows
        self._draw = random.Random(seed)
        self._ending: set[WorkerProcess] = set()
        self._struck: Counter[str] = Counter()
        self._strikes: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "children killed": (4, self._kill_child),
            "workers killed": (2, self._kill_worker),
            "main processes killed": (1, self._kill_main),
            "workers ended": (2, self._end_worker),
            "Redis killed": (2, self._kill_redis),
            "Redis frozen": (1, self._freeze_redis),
        }

    async def run(self, seed: int) -> Report:
        """Carry out a job among the strikes, and judge it."""
        began = time.monotonic()
        cluster, rows = self._cluster, PatchRows(self._rows, seed=seed)
        for _ in range(WORKERS):
            self._start_worker()
        job_id = await cluster.start_job(rows, shard_rows=SHARD_ROWS)
        await cluster.settled(job_id, 1)
        while (pending := await self._pending(job_id)) > self._rows // 4:
            await asyncio.sleep(self._draw.uniform(0.3, 2.5))
            await self._strike()
            await self._go_on(job_id, pending)
            assert time.monotonic() - began < END_S, f"seed {seed}: {pending} rows pending"
        cluster.sandbox.faults.clear()
        await wait_until(lambda: self._ends_under_supervision(job_id), within=END_S, what=f"seed {seed}: the job ends")
        # a request that a killed worker had sent may still be on the server when the next one asks
        await check_exact(cluster.ledger, cluster.sandbox, rows, job_id, overlaps=True)
        cost = cost_of(cluster.sandbox, rows)
        assert cost.extra < MOST_EXTRA, (seed, cost, self._struck)
        spoilt = Counter({name: number for name, number in cluster.sandbox.log.stats.by_fault.items() if number})
        return Report(seed, self._struck + spoilt, cost, time.monotonic() - began)

    async def _pending(self, job_id: str) -> int:
        job = await self._cluster.job(job_id)
        return self._rows if job is None else job.counts.pending

    async def _go_on(self, job_id: str, pending: int) -> None:
        """Let some rows settle before the next strike: on a slow machine a job is not to be struck more often for it.

        Where nothing goes on, as after the death of all, the next strike comes all the same.
        """

        async def some_settled() -> bool:
            return await self._pending(job_id) <= pending - STRIKE_AFTER_ROWS

        with contextlib.suppress(AssertionError):
            await wait_until(some_settled, within=STRIKE_ANYWAY_S, what="some rows settle")

    async def _ends_under_supervision(self, job_id: str) -> bool:
        self._supervise()
        job = await self._cluster.job(job_id)
        return job is not None and job.state is JobState.FINISHED

    def _supervise(self) -> None:
        """Start workers anew that ended by themselves, as Celery's do where a child dies in its first second."""
        for _ in range(WORKERS - len(self._living())):
            self._struck["workers restarted"] += 1
            self._start_worker()

    async def _strike(self) -> None:
        self._supervise()
        names = list(self._strikes)
        name = self._draw.choices(names, weights=[self._strikes[name][0] for name in names])[0]
        self._struck[name] += 1
        await self._strikes[name][1]()

    async def _kill_child(self) -> None:
        worker = self._draw.choice(self._living())
        children = worker.children()
        if children:
            self._draw.choice(children).kill()

    async def _kill_worker(self) -> None:
        self._draw.choice(self._living()).kill()
        self._start_worker()

    async def _kill_main(self) -> None:
        worker = self._draw.choice(self._living())
        worker.send(signal.SIGKILL)
        self._ending.add(worker)
        self._start_worker()

    async def _end_worker(self) -> None:
        worker = self._draw.choice(self._living())
        worker.send(signal.SIGTERM)
        self._ending.add(worker)
        self._start_worker()

    async def _kill_redis(self) -> None:
        self._cluster.redis.kill()
        await asyncio.sleep(self._draw.uniform(0, 2))
        self._cluster.redis.start()

    async def _freeze_redis(self) -> None:
        self._cluster.redis.freeze()
        await asyncio.sleep(self._draw.uniform(0, 2))
        self._cluster.redis.thaw()

    def _start_worker(self) -> None:
        self._cluster.start_worker(rate={"per_minute": 15_000}, api={"attempts": LEAST_LIVES})

    def _living(self) -> list[WorkerProcess]:
        return [worker for worker in self._cluster.workers if worker.exit_code() is None and worker not in self._ending]


async def run_seed(seed: int, *, folder: Path, logs: Path, rows: int = ROWS) -> Report:
    """Run one seed on a cluster of its own; raises AssertionError where it does not end exact."""
    async with Cluster(folder, keep_logs=logs, seed=seed, latency_s=0.05, slow_s=1.0, fault_rates=SPOILT) as cluster:
        return await Chaos(cluster, seed, rows).run(seed)


def main() -> int:
    """Run seeds one after the other, print what each came to, and fail if one did."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=100, help="the first of them")
    asked = parser.parse_args()
    wrong = 0
    for seed in range(asked.first, asked.first + asked.seeds):
        logs = Path(tempfile.mkdtemp(prefix="relabel-chaos-logs-"))
        with tempfile.TemporaryDirectory(prefix="relabel-") as folder:
            try:
                print(asyncio.run(run_seed(seed, folder=Path(folder), logs=logs)), flush=True)  # noqa: T201
            except AssertionError as error:
                wrong += 1
                print(f"seed {seed}: NOT EXACT, logs in {logs}: {error!r}", flush=True)  # noqa: T201
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
