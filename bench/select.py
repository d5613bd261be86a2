"""What `relabel select` costs a completion, from the page to the file, and what an expression costs by itself."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.command import Ended, run
from bench.table import print_head, print_row
from embedded.server import EmbeddedServer, embedded_server

SIZES = {10_000: 5, 100_000: 3, 1_000_000: 1}
"""Completions, and runs of which the median is taken."""
WHERE = 'metadata.team == "search" and number(metadata.score) >= 0.8'
WRITES = ("--where", WHERE, "--set", "dataset=eval", "-o")
EXPRESSIONS = (
    'metadata.team == "search"',
    "has(metadata.dataset)",
    'metadata.team in ["search", "support"]',
    "number(metadata.score) >= 0.8",
    WHERE,
    'metadata.session matches "^s-0"',
    'number(metadata.score) >= 0.8 and not has(metadata.dataset) and model startsWith "gpt-4o"',
)
EVALUATIONS = 200_000


def main(options: argparse.Namespace) -> None:
    start = statistics.median(run("cli.main", "select", "--help").cpu_s for _ in range(5))
    print(f"--where '{WHERE}' --set dataset=eval -o out.jsonl; the start of the command is {start:.2f} s of CPU.\n")
    print_head("completions", "CPU µs each", "without the start", "pages/s", "peak MB", "written")
    with tempfile.TemporaryDirectory(prefix="rlb-") as temporary:
        folder = Path(temporary)
        with embedded_server(folder / "state") as redis:
            for size, repeats in SIZES.items():
                if options.rows and size > options.rows:
                    break
                _measure(size, options.repeats or repeats, start, folder, redis)
    print()
    print_head("expression", "CPU µs an evaluation")
    for expression, micros in zip(EXPRESSIONS, run("bench.select").output.splitlines(), strict=True):
        print_row(f"`{expression}`", f"{float(micros):.2f}")


def _measure(size: int, repeats: int, start: float, folder: Path, redis: EmbeddedServer) -> None:
    with _sandbox(size) as base_url:
        runs = [_select(base_url, folder, redis) for _ in range(repeats)]
    written = (folder / "out.jsonl").read_bytes().count(b"\n")
    (folder / "out.jsonl").unlink()
    cpu, wall = (statistics.median(each) for each in zip(*((run.cpu_s, run.wall_s) for run in runs), strict=True))
    peak = max(run.peak_mb for run in runs)
    each = (cpu / size * 1e6, (cpu - start) / size * 1e6)
    print_row(f"{size:,}", *(f"{one:,.1f}" for one in each), f"{size / 100 / wall:,.0f}", f"{peak:.0f}", f"{written:,}")


def _select(base_url: str, folder: Path, redis: EmbeddedServer) -> Ended:
    (folder / "out.jsonl").unlink(missing_ok=True)
    environment = os.environ | {
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_KEY": "sk-bench-key-0123456789",
        "RELABEL_REDIS__URL": redis.ledger_url,
        "RELABEL_RATE__PER_MINUTE": "6000000",
    }
    return run("cli.main", "select", *WRITES, str(folder / "out.jsonl"), environment=environment)


@contextmanager
def _sandbox(size: int) -> Iterator[str]:
    """Serve so many completions."""
    command = [sys.executable, "-m", "cli.main", "sandbox", "--completions", str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def evaluate() -> None:
    """Print the CPU µs of an evaluation of each expression, over completions as the sandbox makes them."""
    from sandbox.generate import generate  # noqa: PLC0415 - the parent needs none of it
    from selection.completion import Completion  # noqa: PLC0415 - as above
    from selection.expression import compile_where  # noqa: PLC0415 - as above

    made = generate(1000, seed=1, now=int(time.time()))
    completions = [Completion(each.id, each.created, each.model, each.metadata) for each in made]
    for expression in EXPRESSIONS:
        where = compile_where(expression, now=time.time())
        began = time.process_time()
        for _ in range(EVALUATIONS // len(completions)):
            for completion in completions:
                where.matches(completion) or where.missing(completion)
        print((time.process_time() - began) / EVALUATIONS * 1e6)


if __name__ == "__main__":
    evaluate()
