"""`relabel log`: who changed a job, when and why."""

from __future__ import annotations

import textwrap

import click
import msgspec

from cli.console import echo
from cli.job_argument import job_argument, with_job
from cli.output import print_facts
from cli.session import pass_settings
from config.settings import Settings
from config.text import printable
from relabel.jobs import job_log
from relabel.wording import local_time

LINE_CHARS, WHO_CHARS = 80, 60
"""Width of the narrowest terminal, and what is shown of user@host."""


@click.command("log")
@job_argument
@click.option("--json", "as_json", is_flag=True, help="Print the lines as JSON.")
@pass_settings
def log_command(settings: Settings, *, reference: str, as_json: bool) -> None:
    """Show who did what to JOB, when and why.

    Also what happened by itself: pauses by a worker, changes of the shared rate, shards given up, the end, a loss.

    \b
    Example:
      relabel log 20261123-205318-c81e4f02
    """
    lines = with_job(settings, reference, job_log)
    if as_json:
        print_facts([msgspec.to_builtins(line) for line in lines])
        return
    for line in lines:
        _show(f"{local_time(line.at)}  {printable(line.who, WHO_CHARS)}  {line.verb}", printable(line.why))


def _show(head: str, why: str) -> None:
    """Print an entry on one line where it fits, else with its reason below, where no word is broken."""
    if len(head) + 2 + len(why) <= LINE_CHARS:
        echo(f"{head}  {why}")
        return
    echo(head)
    for part in textwrap.wrap(why, LINE_CHARS - 2, break_long_words=False, break_on_hyphens=False):
        echo(f"  {part}")
