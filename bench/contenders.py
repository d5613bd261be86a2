"""One measured run of each way to change so many rows: ours, and what people use today."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import redis

from ledger.embedded import EmbeddedServer
from ledger.keys import JobKeys

PATIENCE_S = 600.0


class Measured(NamedTuple):
    """CPU of all processes and wall time, both in microseconds a row; bytes of Redis memory a row (ours only)."""

    cpu_us: float
    wall_us: float
    redis_bytes: float = 0.0


def ours(file: Path, rows: int, base_url: str, server: EmbeddedServer, *options: str, in_flight: int) -> Measured:
    """Submit the file to a running worker with two children: producer, worker and Redis are counted."""
    environment = os.environ | {
        "RELABEL_REDIS__URL": server.ledger_url,
        "RELABEL_BROKER_URL": server.broker_url,
        "OPENAI_API_KEY": "x",
        "OPENAI_BASE_URL": base_url,
        "RELABEL_RATE__PER_MINUTE": "6000000",
        "RELABEL_WORKER__CHILDREN": "2",
        "RELABEL_WORKER__IN_FLIGHT": str(in_flight),
        "RELABEL_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-m", "tasks.run_worker", str(os.getpid())]
    with redis.Redis.from_url(server.ledger_url) as ledger:
        worker = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_until(lambda: ledger.exists("relabel:workers"))
            memory = ledger.info("memory")["used_memory"]
            idle = _cpu_of(worker.pid) + _cpu_of_redis(ledger)
            began = time.perf_counter()
            submit = [sys.executable, "-m", "cli.main", "submit", "--again", *options, str(file)]
            job_id, producer = _output_and_cpu(submit, environment)
            _wait_until(lambda: ledger.hget(JobKeys(job_id).job, "state") == b"finished")
            wall = time.perf_counter() - began
            cpu = producer + _cpu_of(worker.pid) + _cpu_of_redis(ledger) - idle
            updated = int(ledger.hget(JobKeys(job_id).counts, "updated") or 0)
            assert updated == rows, f"{updated} of {rows} rows updated"
            kept = ledger.info("memory")["used_memory"] - memory
        finally:
            worker.terminate()
            worker.wait()
        ledger.flushall()  # our own private server
    return Measured(cpu / rows * 1e6, wall / rows * 1e6, kept / rows)


def sdk_loop(file: Path, rows: int, base_url: str, *, in_flight: int) -> Measured:
    """The official SDK in one asyncio loop."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "bench.peers.sdk_loop", str(file), base_url, str(in_flight)]
    _, cpu = _output_and_cpu(command, dict(os.environ))
    return Measured(cpu / rows * 1e6, (time.perf_counter() - began) / rows * 1e6)


def task_a_row(file: Path, rows: int, base_url: str, server: EmbeddedServer) -> Measured:
    """A Celery task a row, prefork with two children: producer, worker and Redis are counted."""
    environment = os.environ | {"PEER_REDIS": str(server.socket), "PEER_BASE_URL": base_url}
    command = [sys.executable, "-m", "celery", "-A", "bench.peers.task_a_row", "worker", "-c", "2"]
    with redis.Redis.from_url(server.ledger_url) as ledger:
        worker = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_until(lambda: len(psutil.Process(worker.pid).children()) >= 2)
            idle = _cpu_of(worker.pid) + _cpu_of_redis(ledger)
            began = time.perf_counter()
            _, producer = _output_and_cpu([sys.executable, "-m", "bench.peers.task_a_row", str(file)], environment)
            _wait_until(lambda: ledger.hlen("peer:results") == rows)
            wall = time.perf_counter() - began
            cpu = producer + _cpu_of(worker.pid) + _cpu_of_redis(ledger) - idle
        finally:
            worker.terminate()
            worker.wait()
        ledger.flushall()  # our own private server
    return Measured(cpu / rows * 1e6, wall / rows * 1e6)


def _cpu_of(pid: int) -> float:
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def _cpu_of_redis(ledger: redis.Redis) -> float:
    used = ledger.info("cpu")
    return float(used["used_cpu_sys"]) + float(used["used_cpu_user"])


def _output_and_cpu(command: list[str], environment: dict[str, str]) -> tuple[str, float]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    output = process.stdout.read().strip()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command} ended with {process.returncode}"
    return output, usage.ru_utime + usage.ru_stime


def _wait_until(condition: object) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "the run takes too long"
        time.sleep(0.02)
