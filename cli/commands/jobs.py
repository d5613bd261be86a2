"""`relabel jobs`: the latest jobs."""

from __future__ import annotations

import sys
import time
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from cli.console import echo, shown
from cli.output import print_facts
from cli.session import in_session, pass_settings
from config.moment import parse_moment
from config.settings import Settings
from config.text import printable
from ledger.job import Job, JobState
from relabel.explain import reason_of
from relabel.facts import job_facts
from relabel.jobs import ANY_JOB, JobFilter, latest_jobs
from relabel.wording import local_time

NAME_CHARS = 40
REASON_CHARS = 100
FILE_WIDTH = 240
"""Width of the table where nobody's window bounds it: wide enough for every row to stay on one line."""


_STATES = {state.value.removeprefix("state "): state for state in JobState}


# generic from click 8.5 on only
class Moment(click.ParamType):  # type: ignore[type-arg]
    """A date, a time, or how long ago it was."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds since the epoch."""
        try:
            return parse_moment(str(value), now=time.time())
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


@click.command("jobs")
@click.option("-n", "number", type=click.IntRange(min=1), default=20, show_default=True, help="Jobs at most.")
@click.option("--state", "states", multiple=True, type=click.Choice(list(_STATES)), help="In this state; repeatable.")
@click.option("--since", type=Moment(), help="Submitted since: 2026-11-27, 2026-11-27T18:00, or 30m, 12h, 3d ago.")
@click.option("--by", default="", metavar="WHO", help="Submitted by this user, or user@host.")
@click.option("--name", default="", metavar="TEXT", help="With this text in the name.")
@click.option("--key", default="", help="That may change this metadata key; a replace may change any.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, newest first.")
@pass_settings
def jobs_command(
    settings: Settings,
    *,
    number: int,
    states: tuple[str, ...],
    since: float | None,
    by: str,
    name: str,
    key: str,
    as_json: bool,
) -> None:
    """List the latest jobs, newest first.

    \b
    Examples:
      relabel jobs -n 5
      relabel jobs --state paused --state running
      relabel jobs --by ada --key team --since 7d
    """
    wanted = JobFilter(frozenset(_STATES[state] for state in states), since or 0.0, by, name, key)
    jobs = in_session(settings, lambda session: latest_jobs(session, number, wanted))
    if as_json:
        print_facts([job_facts(job) for job in jobs])
    elif jobs:
        _print(jobs)
    elif wanted != ANY_JOB:
        echo("No job that is kept fits; `relabel jobs` lists the latest.", err=True)
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
    table.add_column("REJECTED", justify="right", no_wrap=True)
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
        f"{counts.rejected:,}",
        local_time(job.submitted_at),
        printable(reason_of(job) or "", REASON_CHARS),
    ]
