"""One measured run of each way to change so many rows: ours, and what people use today."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import redis

from bench.command import run, wait_until
from bench.cpu import Cpu, cpu_of_worker, peak_mb
from embedded.server import EmbeddedServer
from ledger.keys import JobKeys

CHILDREN = 2


class Measured(NamedTuple):
    """CPU in microseconds a row, rows a second, bytes of Redis memory a row (ours only), the worker's peak in MB."""

    cpu: Cpu
    rows_per_s: float
    redis_bytes: float = 0.0
    worker_mb: float = 0.0


def settings(base_url: str, server: EmbeddedServer, *, in_flight: int = 64) -> dict[str, str]:
    """Return the environment of a relabel that no rate slows down."""
    return dict(os.environ) | {
        "RELABEL_REDIS__URL": server.ledger_url,
        "RELABEL_BROKER_URL": server.broker_url,
        "OPENAI_API_KEY": "x",
        "OPENAI_BASE_URL": base_url,
        "RELABEL_RATE__PER_MINUTE": "6000000",
        "RELABEL_WORKER__CHILDREN": str(CHILDREN),
        "RELABEL_WORKER__IN_FLIGHT": str(in_flight),
        "RELABEL_LOG_LEVEL": "ERROR",
    }


@contextmanager
def running_worker(environment: Mapping[str, str], ledger: redis.Redis, tree: Path | None = None) -> Iterator[int]:
    """Run a worker that has beaten once, of the source in this folder if it is not ours; give its process id."""
    command = [sys.executable, "-W", "ignore", "-m", "tasks.run_worker", str(os.getpid())]
    with _ended(command, environment, tree) as pid:
        wait_until(lambda: ledger.exists("relabel:workers"))
        yield pid


SUBMIT, PLAN = ("submit", "--again"), ("plan", "--no-wait")
ENDS_AS = {SUBMIT: "updated", PLAN: "would_change"}
"""How the rows end that each verb asks for."""


def ours(
    file: Path,
    rows: int,
    base_url: str,
    server: EmbeddedServer,
    *options: str,
    in_flight: int = 64,
    verb: tuple[str, str] = SUBMIT,
) -> Measured:
    """Hand the file to a running worker with two children: producer, worker and Redis are counted."""
    environment = settings(base_url, server, in_flight=in_flight)
    with redis.Redis.from_url(server.ledger_url) as ledger:
        with running_worker(environment, ledger) as worker:
            memory = ledger.info("memory")["used_memory"]
            idle = cpu_of_worker(worker, ledger)
            began = time.perf_counter()
            sent = run("cli.main", *verb, "--yes", *options, str(file), environment=environment)
            keys = JobKeys(sent.output)
            wait_until(lambda: ledger.hget(keys.job, "state") == b"finished")
            wall = time.perf_counter() - began
            cpu = cpu_of_worker(worker, ledger).since(idle)._replace(producer=sent.cpu_s)
            ended = int(ledger.hget(keys.counts, ENDS_AS[verb]) or 0)
            assert ended == rows, f"{ended} of {rows} rows {ENDS_AS[verb]}"
            kept = ledger.info("memory")["used_memory"] - memory
            peak = peak_mb(worker)
        ledger.flushall()  # our own private server
    return Measured(cpu.a_row(rows), rows / wall, kept / rows, peak)


def sdk_loop(file: Path, rows: int, base_url: str, *, in_flight: int) -> Measured:
    """The official SDK in one asyncio loop."""
    ended = run("bench.peers.sdk_loop", str(file), base_url, str(in_flight))
    assert ended.output == f"{rows} updated, 0 lost", ended.output
    return Measured(Cpu(ended.cpu_s, 0, 0, 0).a_row(rows), rows / ended.wall_s)


def dbos_steps(file: Path, rows: int, base_url: str, database: Path, *, in_flight: int) -> Measured:
    """A DBOS workflow with a step a row, over SQLite."""
    ended = run("bench.peers.dbos_step", str(file), base_url, str(database), str(in_flight))
    database.unlink()
    assert ended.output.endswith(f"{rows} updated, 0 lost"), ended.output
    return Measured(Cpu(ended.cpu_s, 0, 0, 0).a_row(rows), rows / ended.wall_s)


CELERY = ("celery", "-A", "bench.peers.task_a_row", "worker", "-c", str(CHILDREN))
DRAMATIQ = ("dramatiq", "bench.peers.dramatiq_row", "-p", str(CHILDREN))
"""Workers of the peers that send a message a row, as arguments of `python -m`."""
SENDERS = {CELERY: "bench.peers.task_a_row", DRAMATIQ: "bench.peers.dramatiq_row"}


def peer_environment(base_url: str, server: EmbeddedServer) -> dict[str, str]:
    """Return the environment of a peer that needs Redis."""
    return dict(os.environ) | {"PEER_REDIS": str(server.socket), "PEER_BASE_URL": base_url}


def message_a_row(worker: tuple[str, ...], file: Path, rows: int, base_url: str, server: EmbeddedServer) -> Measured:
    """A message a row, two processes: producer, worker and Redis are counted."""
    environment = peer_environment(base_url, server)
    with redis.Redis.from_url(server.ledger_url) as ledger:
        with _ended([sys.executable, "-W", "ignore", "-m", *worker], environment) as pid:
            wait_until(lambda: len(psutil.Process(pid).children()) >= CHILDREN)
            idle = cpu_of_worker(pid, ledger)
            began = time.perf_counter()
            sent = run(SENDERS[worker], str(file), environment=environment)
            wait_until(lambda: ledger.hlen("peer:results") == rows)
            wall = time.perf_counter() - began
            cpu = cpu_of_worker(pid, ledger).since(idle)._replace(producer=sent.cpu_s)
        ledger.flushall()  # our own private server
    return Measured(cpu.a_row(rows), rows / wall)


@contextmanager
def _ended(command: list[str], environment: Mapping[str, str], tree: Path | None = None) -> Iterator[int]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment, cwd=tree, stdout=quiet, stderr=quiet)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()
