"""`relabel jobs`: the latest jobs."""

from __future__ import annotations

import time
from typing import Any

import click

from cli.console import echo
from cli.jobs_view import show_jobs
from cli.output import print_facts
from cli.session import in_session, pass_settings
from config.moment import parse_moment
from config.settings import Settings
from ledger.job import JobState
from relabel.jobs import ANY_JOB, JobFilter, list_jobs, seen_facts

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

    Running jobs are shown with what they wait for, others with the reason for their state.

    \b
    Examples:
      relabel jobs -n 5
      relabel jobs --state paused --state running
      relabel jobs --by ada --key team --since 7d
    """
    wanted = JobFilter(frozenset(_STATES[state] for state in states), since or 0.0, by, name, key)
    jobs = in_session(settings, lambda session: list_jobs(session, number, wanted))
    if as_json:
        print_facts([seen_facts(seen) for seen in jobs])
    elif jobs:
        show_jobs(jobs, settings.rate.per_minute)
    elif wanted != ANY_JOB:
        echo("No job that is kept fits; `relabel jobs` lists the latest.", err=True)
    else:
        echo("There are no jobs yet; `relabel run FILE` or `relabel submit FILE` makes one.", err=True)
