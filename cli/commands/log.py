"""`relabel log`: who changed a job, when and why."""

from __future__ import annotations

import click
import msgspec

from cli.console import echo
from cli.format import local_time
from cli.job_argument import job_argument, with_job
from cli.output import print_facts
from cli.session import pass_settings
from config.settings import Settings
from config.text import printable
from relabel.jobs import job_log


@click.command("log")
@job_argument
@click.option("--json", "as_json", is_flag=True, help="Print the lines as JSON.")
@pass_settings
def log_command(settings: Settings, *, reference: str, as_json: bool) -> None:
    """Show who did what to JOB, when and why.

    \b
    Example:
      relabel log 20261123-205318-c81e4f02
    """
    lines = with_job(settings, reference, job_log)
    if as_json:
        print_facts([msgspec.to_builtins(line) for line in lines])
        return
    for line in lines:
        echo(f"{local_time(line.at)}  {printable(line.who, 60)}  {line.verb}  {printable(line.why, 200)}")
