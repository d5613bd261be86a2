"""`relabel pause`: stop workers from starting rows of a job."""

from __future__ import annotations

import click

from cli.console import echo
from cli.session import in_session, pass_settings
from config.settings import Settings
from ledger.job import JobState
from relabel.control import pause


@click.command("pause")
@click.argument("job_id", metavar="JOB")
@click.option("--reason", default="", help="Why, for those who look at the job later.")
@pass_settings
def pause_command(settings: Settings, *, job_id: str, reason: str) -> None:
    """Pause JOB; rows in flight finish.

    No new rows start after 2 seconds.

    \b
    Example:
      relabel pause 20261123-205318-c81e4f02 --reason "wrong team column, asking"
    """
    had = in_session(settings, lambda session: pause(session, job_id, reason=reason))
    if had is JobState.PAUSED:
        echo(f"Job {job_id} is paused already.", err=True)
    else:
        echo(f"Job {job_id} is paused; go on with `relabel resume {job_id}`.", err=True)
