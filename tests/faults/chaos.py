"""A run in which everything dies at random: `python -m tests.faults.chaos --seeds 20` (`make chaos SEEDS=20`).

A seed decides which of the parts is killed when, and which requests the API spoils. Two workers of two children
carry out a job; meanwhile children, whole workers, main processes alone and Redis are killed, workers are told to
end, and Redis, a child or a whole worker is stopped for a while and goes on, one of these every few tenths of a second
to seconds. What was killed, or ended by itself, is started again, as a supervisor would.

The job must end by itself, exact by the oracle (`tests.harness.oracle`). Extra requests are those beyond what the
rows need (a read each, a write where there is a change) and beyond what the API's own faults make necessary (the
same request again, and a read before it where a write may have happened): what kills and restarts cost. Their share
of the requests needed stays under 10 %.

At the end it prints a table for docs/reliability.md: what was done how often, the extra requests, and for how long the
work of a killed part stood still (`tests.faults.recovery`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from ledger.job import JobState
from tests.faults.recovery import RecoveryWatch
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
LONGEST_STOP_S = 12.0
"""Longest stop of a process, in seconds: half as long again as a lease lives."""
END_S = 300.0


class Pace(NamedTuple):
    """How a run is struck: the pause between strikes in seconds (shortest, longest), and the bound of the whole."""

    shortest_s: float = 0.3
    longest_s: float = 2.5
    end_s: float = END_S


FAST = Pace()


class Report(NamedTuple):
    """What a seed came to; `recovery` has the seconds for which a killed part's work stood still, by cause."""

    seed: int
    struck: Counter[str]
    spoilt: Counter[str]
    cost: Cost
    recovery: Mapping[str, list[float]]
    seconds: float

    def __str__(self) -> str:
        """One line for the table."""
        struck = ", ".join(f"{number} {name}" for name, number in sorted((self.struck + self.spoilt).items()))
        sent, least, forced = self.cost
        extra = f"{sent} sent = {least} needed + {forced} forced + {self.cost.extra:.1%}"
        return f"seed {self.seed}: exact in {self.seconds:.0f} s, {extra}; {struck}"


class Chaos:
    """One seed's run on one cluster."""

    def __init__(self, cluster: Cluster, seed: int, rows: PatchRows, pace: Pace) -> None:
        self._cluster = cluster
        self._rows = rows
        self._seed = seed
        self._pace = pace
        self._draw = random.Random(seed)
        self._ending: set[WorkerProcess] = set()
        self._stopped: set[asyncio.Task[None]] = set()
        self._struck: Counter[str] = Counter()
        self._strikes: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "children killed": (4, self._kill_child),
            "workers killed": (2, self._kill_worker),
            "main processes killed": (1, self._kill_main),
            "workers ended": (2, self._end_worker),
            "Redis killed": (2, self._kill_redis),
            "Redis stopped": (1, self._stop_redis),
            "children stopped": (1, self._stop_child),
            "workers stopped": (1, self._stop_worker),
        }

    async def run(self, *, shard_rows: int) -> Report:
        """Carry out a job among the strikes, and judge it."""
        began = time.monotonic()
        cluster, rows = self._cluster, self._rows
        for _ in range(WORKERS):
            self._start_worker()
        job_id = await cluster.start_job(rows, shard_rows=shard_rows)
        await cluster.settled(job_id, 1)
        async with RecoveryWatch(cluster, job_id) as self._watch:
            await self._strike_until_little_is_left(job_id, until=began + self._pace.end_s)
            await asyncio.gather(*self._stopped)
            cluster.sandbox.faults.clear()
            await wait_until(
                lambda: self._ends_under_supervision(job_id),
                within=self._pace.end_s,
                what=f"seed {self._seed}: the end",
            )
        # a request that a killed worker had sent may still be on the server when the next one asks
        await check_exact(cluster.ledger, cluster.sandbox, rows, job_id, overlaps=True)
        cost = cost_of(cluster.sandbox, rows)
        assert cost.extra < MOST_EXTRA, (self._seed, cost, self._struck)
        spoilt = Counter({name: number for name, number in cluster.sandbox.log.stats.by_fault.items() if number})
        seconds = time.monotonic() - began
        return Report(self._seed, self._struck, spoilt, cost, self._watch.seconds, seconds)

    async def _strike_until_little_is_left(self, job_id: str, *, until: float) -> None:
        while (pending := await self._pending(job_id)) > len(self._rows.patches) // 4:
            await asyncio.sleep(self._draw.uniform(self._pace.shortest_s, self._pace.longest_s))
            await self._strike()
            await self._go_on(job_id, pending)
            assert time.monotonic() < until, f"seed {self._seed}: {pending} rows pending"

    async def _pending(self, job_id: str) -> int:
        job = await self._cluster.job(job_id)
        return len(self._rows.patches) if job is None else job.counts.pending

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
            child = self._draw.choice(children)
            leases = await self._watch.leases_of({child.pid})
            child.kill()
            self._watch.killed("child killed", leases)

    async def _kill_worker(self) -> None:
        worker = self._draw.choice(self._living())
        leases = await self._watch.leases_of({child.pid for child in worker.children()})
        worker.kill()
        self._watch.killed("worker killed", leases)
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
        self._watch.redis_is_back("Redis killed")

    async def _stop_redis(self) -> None:
        self._cluster.redis.freeze()
        await asyncio.sleep(self._draw.uniform(0, 2))
        self._cluster.redis.thaw()

    async def _stop_child(self) -> None:
        children = self._draw.choice(self._living()).children()
        if children:
            child = self._draw.choice(children)
            self._stop_for_a_while(child.suspend, child.resume)

    async def _stop_worker(self) -> None:
        worker = self._draw.choice(self._living())
        self._stop_for_a_while(lambda: worker.send_all(signal.SIGSTOP), lambda: worker.send_all(signal.SIGCONT))

    def _stop_for_a_while(self, stop: Callable[[], None], go_on: Callable[[], None]) -> None:
        """Stop processes, and let them go on later, beside what else happens."""
        seconds = self._draw.uniform(0, LONGEST_STOP_S)

        async def wait_and_go_on() -> None:
            await asyncio.sleep(seconds)
            with contextlib.suppress(psutil.NoSuchProcess):
                go_on()

        with contextlib.suppress(psutil.NoSuchProcess):
            stop()
            self._stopped.add(asyncio.create_task(wait_and_go_on()))

    def _start_worker(self) -> None:
        self._cluster.start_worker(rate={"per_minute": 15_000}, api={"attempts": LEAST_LIVES})

    def _living(self) -> list[WorkerProcess]:
        return [worker for worker in self._cluster.workers if worker.exit_code() is None and worker not in self._ending]


async def run_seed(
    seed: int, *, folder: Path, logs: Path, rows: int = ROWS, shard_rows: int = SHARD_ROWS, pace: Pace = FAST
) -> Report:
    """Run one seed on a cluster of its own; raises AssertionError where it does not end exact."""
    spoiling = {"latency_s": 0.05, "slow_s": 1.0, "fault_rates": SPOILT, "log_limit": 20 * rows}
    async with Cluster(folder, keep_logs=logs, seed=seed, **spoiling) as cluster:
        return await Chaos(cluster, seed, PatchRows(rows, seed=seed), pace).run(shard_rows=shard_rows)


def summary(reports: Sequence[Report], *, tried: int) -> str:
    """Return what the seeds came to together, as a table in Markdown."""
    struck = sum((report.struck for report in reports), Counter())
    spoilt = sum((report.spoilt for report in reports), Counter())
    extra = sorted(report.cost.extra for report in reports)
    lines = [
        "| figure | value |",
        "|---|---|",
        f"| seeds that ended exact | {len(reports)} of {tried} |",
        *(f"| {name} | {number:,} |" for name, number in sorted(struck.items())),
        *(f"| requests spoilt: {name} | {number:,} |" for name, number in sorted(spoilt.items())),
        f"| extra requests, least / median / most | {extra[0]:.1%} / {percentile(extra, 50):.1%} / {extra[-1]:.1%} |",
    ]
    for cause in sorted({cause for report in reports for cause in report.recovery}):
        seconds = sorted(value for report in reports for value in report.recovery[cause])
        p50, p99 = percentile(seconds, 50), percentile(seconds, 99)
        lines.append(f"| recovery, {cause}, p50 / p99 of {len(seconds)} | {p50:.1f} s / {p99:.1f} s |")
    return "\n".join(lines)


def percentile(ordered: Sequence[float], share: int) -> float:
    """Return the value that `share` percent of the ordered values do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)]


def main() -> int:
    """Run seeds one after the other, print what each came to and the summary, and fail if one did."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=100, help="the first of them")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of each job; with more, strikes are rarer")
    asked = parser.parse_args()
    shard_rows = max(SHARD_ROWS, min(1000, asked.rows // 30))
    stretch = shard_rows / SHARD_ROWS
    pace = Pace(FAST.shortest_s * stretch, FAST.longest_s * stretch, END_S * max(1.0, asked.rows / 50_000))
    seeds = range(asked.first, asked.first + asked.seeds)
    reports: list[Report] = []
    wrong = 0
    with contextlib.suppress(KeyboardInterrupt):  # what was found until then is printed
        for seed in seeds:
            report = judged(seed, rows=asked.rows, shard_rows=shard_rows, pace=pace)
            if report is None:
                wrong += 1
            else:
                reports.append(report)
    if reports:
        print(summary(reports, tried=len(reports) + wrong))  # noqa: T201
    return int(len(reports) < len(seeds))


def judged(seed: int, *, rows: int, shard_rows: int, pace: Pace) -> Report | None:
    """Run a seed and print what it came to; return None, and keep the logs, where it did not end exact."""
    logs = Path(tempfile.mkdtemp(prefix="relabel-chaos-logs-"))
    with tempfile.TemporaryDirectory(prefix="relabel-") as folder:
        running = run_seed(seed, folder=Path(folder), logs=logs, rows=rows, shard_rows=shard_rows, pace=pace)
        try:
            report = asyncio.run(running)
        except AssertionError as error:
            print(f"seed {seed}: NOT EXACT, logs in {logs}: {error!r}", flush=True)  # noqa: T201
            return None
    shutil.rmtree(logs)
    print(report, flush=True)  # noqa: T201
    return report


if __name__ == "__main__":
    sys.exit(main())
