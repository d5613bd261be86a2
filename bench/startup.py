"""What a short command costs before it does anything, beside the libraries that it cannot do without.

CPU time of the child processes, as their wall time depends on what else runs; ratios of medians of alternating runs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.patches import write_csv
from bench.table import print_head, print_row
from embedded.server import EmbeddedServer, embedded_server
from ledger.connect import open_ledger
from ledger.job_spec import Mode
from ledger.ledger import Ledger
from producer.check import check
from producer.source import open_source
from producer.submit import JobRequest, submit

REPEATS = 15
ROWS = 100
COMMANDS = {
    "click": ["-c", "import click"],
    "relabel --version": ["-m", "cli.main", "--version"],
    "libraries": ["-c", "import redis.asyncio, click, pydantic_settings"],
    "relabel status JOB": ["-m", "cli.main", "status", "JOB"],
}
"""Each command of ours follows what it is compared with."""
TARGETS = {"relabel --version": ("click", 1.5), "relabel status JOB": ("libraries", 1.35)}


def main(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="rlb-") as temporary:
        folder = Path(temporary)
        with embedded_server(folder / "state") as server:
            job_id = asyncio.run(_make_job(server, write_csv(folder / "rows.csv", ROWS)))
            # compiled, as an installed command is
            environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
            environment |= {"RELABEL_REDIS__URL": server.ledger_url, "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
            seconds = _measure(job_id, environment, options.repeats or REPEATS)
    print_head("", "CPU ms (least to most)", "ratio", "target")
    for name, runs in seconds.items():
        beside, most = TARGETS.get(name, ("", 0.0))
        ratio = f"{statistics.median(runs) / statistics.median(seconds[beside]):.2f}" if beside else ""
        spread = f"{statistics.median(runs) * 1e3:.0f} ({min(runs) * 1e3:.0f} to {max(runs) * 1e3:.0f})"
        print_row(name, spread, ratio, f"{most} times {beside}" if beside else "")


def _measure(job_id: str, environment: dict[str, str], repeats: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeats + 1):
        for name, command in COMMANDS.items():
            arguments = [job_id if each == "JOB" else each for each in command]
            seconds[name].append(_cpu_s([sys.executable, *arguments], environment))
    return {name: runs[1:] for name, runs in seconds.items()}  # the first run compiles and fills caches


def _cpu_s(command: list[str], environment: dict[str, str]) -> float:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command} ended with {process.returncode}"
    return usage.ru_utime + usage.ru_stime


async def _make_job(server: EmbeddedServer, file: Path) -> str:
    async with open_ledger(server.ledger_url) as redis:
        with open_source(str(file)) as source:
            checked = check(source, mode=Mode.MERGE, spool_dir=file.parent)
        with checked:
            request = JobRequest("rows.csv", Mode.MERGE, True, "https://api.example/v1", 500, 3600.0)
            return (await submit(checked, request, ledger=Ledger(redis), announce=lambda *_: None)).job_id
