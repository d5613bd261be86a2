"""`relabel jobs`: the latest jobs."""

from __future__ import annotations

import sys

import click
from rich import box
from rich.console import Console
from rich.table import Table

from cli.console import echo, shown
from cli.format import local_time
from cli.output import print_facts
from cli.session import in_session, pass_settings
from config.settings import Settings
from config.text import printable
from ledger.job import Job
from relabel.explain import reason_of
from relabel.facts import job_facts
from relabel.jobs import latest_jobs

NAME_CHARS = 40
REASON_CHARS = 100
FILE_WIDTH = 240
"""Width of the table where nobody's window bounds it: wide enough for every row to stay on one line."""


@click.command("jobs")
@click.option("-n", "number", type=click.IntRange(min=1), default=20, show_default=True, help="Jobs at most.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, newest first.")
@pass_settings
def jobs_command(settings: Settings, *, number: int, as_json: bool) -> None:
    """List the latest jobs, newest first.

    \b
    Example:
      relabel jobs -n 5
    """
    jobs = in_session(settings, lambda session: latest_jobs(session, number))
    if as_json:
        print_facts([job_facts(job) for job in jobs])
    elif jobs:
        _print(jobs)
    else:
        echo("There are no jobs yet; `relabel run FILE` or `relabel submit FILE` makes one.", err=True)


def _print(jobs: list[Job]) -> None:
    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False)
    table.add_column("JOB", no_wrap=True)
    table.add_column("KIND", overflow="fold")
    table.add_column("NAME", overflow="fold")
    table.add_column("STATE", no_wrap=True)
    table.add_column("ROWS", justify="right", no_wrap=True)
    table.add_column("FAILED", justify="right", no_wrap=True)
    table.add_column("SUBMITTED", no_wrap=True)
    table.add_column("REASON", overflow="fold")
    for job in jobs:
        table.add_row(*map(shown, _cells(job)))
    Console(width=None if sys.stdout.isatty() else FILE_WIDTH).print(table)


def _cells(job: Job) -> list[str]:
    counts = job.counts
    return [
        job.spec.job_id,
        f"{job.spec.kind} of {job.spec.parent}" if job.spec.parent else str(job.spec.kind),
        printable(job.spec.name, NAME_CHARS),
        str(job.state),
        f"{counts.settled:,}/{counts.total:,}",
        f"{counts.failed:,}",
        local_time(job.submitted_at),
        printable(reason_of(job) or "", REASON_CHARS),
    ]
