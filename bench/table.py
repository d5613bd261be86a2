"""Prints medians of runs as a Markdown table."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TypeVar

from bench.contenders import Measured

T = TypeVar("T")
CPU_HEAD = ("CPU µs a row", "producer", "children", "parent", "Redis", "rows/s")


def print_head(*columns: str) -> None:
    print_row(*columns)
    print_row(*("---" for _ in columns))


def print_row(*cells: str) -> None:
    print("|", " | ".join(cells), "|", flush=True)


def median(runs: Sequence[T], of: Callable[[T], float]) -> float:
    return statistics.median(of(run) for run in runs)


def cpu_cells(runs: Sequence[Measured]) -> list[str]:
    """Return the cells of `CPU_HEAD`: medians, and the whole with its least and most."""
    totals = sorted(run.cpu.total for run in runs)
    spread = f"{statistics.median(totals):,.0f} ({totals[0]:,.0f} to {totals[-1]:,.0f})"
    kinds = [f"{median(runs, lambda run, at=at: run.cpu[at]):,.0f}" for at in range(4)]  # type: ignore[misc]
    return [spread, *kinds, f"{median(runs, lambda run: run.rows_per_s):,.0f}"]
