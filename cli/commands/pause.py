"""`relabel pause`: stop workers from starting rows of a job."""

from __future__ import annotations

import click

from cli.console import echo
from cli.job_argument import changed_job_argument, with_changed_job
from cli.session import pass_settings
from config.settings import Settings
from ledger.job import JobState
from relabel.control import pause
from relabel.session import Session


@click.command("pause")
@changed_job_argument
@click.option("--reason", default="", help="Why, for those who look at the job later.")
@pass_settings
def pause_command(settings: Settings, *, reference: str, yes: bool, reason: str) -> None:
    """Pause JOB; rows in flight finish.

    No new rows start after 2 seconds.

    \b
    Example:
      relabel pause 20261123-205318-c81e4f02 --reason "wrong team column, asking"
    """

    async def pause_it(session: Session, job_id: str) -> tuple[str, JobState]:
        return job_id, await pause(session, job_id, reason=reason)

    job_id, had = with_changed_job(settings, reference, pause_it, yes=yes)
    if had is JobState.PAUSED:
        echo(f"Job {job_id} is paused already.", err=True)
    else:
        echo(f"Job {job_id} is paused; go on with `relabel resume {job_id}`.", err=True)
