"""CPU time and peak memory of running processes, told apart by what they are for."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import psutil
import redis


class Cpu(NamedTuple):
    """CPU by kind of process. Seconds while measured, microseconds a row in a result."""

    producer: float
    children: float
    parent: float
    redis: float

    @property
    def total(self) -> float:
        return sum(self)

    def since(self, before: Cpu) -> Cpu:
        return Cpu(*(now - then for now, then in zip(self, before, strict=True)))

    def a_row(self, rows: int) -> Cpu:
        return Cpu(*(seconds / rows * 1e6 for seconds in self))


def cpu_of_worker(pid: int, ledger: redis.Redis) -> Cpu:
    """Read what a worker, its children and Redis have used so far; the producer's part is 0."""
    worker = psutil.Process(pid)
    used = ledger.info("cpu")
    return Cpu(
        producer=0.0,
        children=sum(_seconds(child) for child in worker.children(recursive=True)),
        parent=_seconds(worker),
        redis=float(used["used_cpu_sys"]) + float(used["used_cpu_user"]),
    )


def peak_mb(pid: int) -> float:
    """Read the most memory that a process and its children ever had resident, in MB; shared pages count in each."""
    process = psutil.Process(pid)
    return sum(_high_water_kb(each.pid) for each in (process, *process.children(recursive=True))) / 1024


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _high_water_kb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # not Linux, or gone
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)
