"""`relabel pause`: let the workers put a job down."""

from __future__ import annotations

import click

from cli import control
from cli.console import echo
from cli.errors import CliError
from cli.session import pass_settings, with_ledger
from config.settings import Settings
from ledger.job import JobState
from ledger.ledger import Ledger
from relabel.session import current_user


@click.command("pause")
@click.argument("job_id", metavar="JOB")
@click.option("--reason", default="", help="Why, for those who look at the job later.")
@pass_settings
def pause_command(settings: Settings, *, job_id: str, reason: str) -> None:
    """Let the workers put JOB down: within 2 s nothing new is begun, rows in flight end first.

    \b
    Example:
      relabel pause 20261123-205318-c81e4f02 --reason "wrong team column, asking"
    """

    async def pause(ledger: Ledger) -> None:
        by = current_user()
        told = f"{reason} ({by})" if reason else f"by {by}"
        had = await control.pause(ledger, job_id, code="paused", reason=told, why=reason)
        if had is JobState.PAUSED:
            echo(f"Job {job_id} is paused already.", err=True)
        elif had is not JobState.RUNNING:
            raise CliError(f"job {job_id} is {had}; only a running job can be paused.")
        else:
            echo(f"Job {job_id} is paused; go on with `relabel resume {job_id}`.", err=True)

    with_ledger(settings, pause)
