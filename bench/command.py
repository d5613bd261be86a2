"""Runs a command to its end and tells what it used."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

RETRY_DELAY_S = 900.0
"""Bound of anything that is waited for."""


class Ended(NamedTuple):
    """What a command printed, its CPU and wall time in seconds, and its peak memory in MB."""

    output: str
    cpu_s: float
    wall_s: float
    peak_mb: float


def run(*arguments: str, environment: Mapping[str, str] | None = None, ends_with: int = 0) -> Ended:
    """Run `python -m ...` to its end, and see that it is the one expected."""
    command: Sequence[str] = [sys.executable, "-W", "ignore", "-m", *arguments]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    output = process.stdout.read().strip()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == ends_with, f"{arguments[0]} ended with {process.returncode}"
    return Ended(output, usage.ru_utime + usage.ru_stime, time.perf_counter() - began, usage.ru_maxrss / 1024)


def wait_until(condition: object) -> None:
    deadline = time.monotonic() + RETRY_DELAY_S
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "the run takes too long"
        time.sleep(0.01)
