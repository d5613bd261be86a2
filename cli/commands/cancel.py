"""`relabel cancel`: end a job before its rows are done."""

from __future__ import annotations

import click

from cli.console import echo
from cli.job_argument import changed_job_argument, with_changed_job
from cli.output import print_json
from cli.session import pass_settings
from config.settings import Settings
from ledger.job import Job
from relabel.control import cancel
from relabel.wording import count_of


@click.command("cancel")
@changed_job_argument
@click.option("--reason", default="", help="Why, for the job's log.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
@pass_settings
def cancel_command(settings: Settings, *, reference: str, yes: bool, reason: str, as_json: bool) -> None:
    """End JOB for good; finished rows stay as they are.

    The other rows end as cancelled. Cancelled rows of which a write may have left before are counted, and marked
    may_have_been_written in the report. `relabel undo` restores them, too.

    \b
    Example:
      relabel cancel 20261123-205318-c81e4f02
      relabel report 20261123-205318-c81e4f02 --only cancelled -o rest.csv
    """
    cancelled = with_changed_job(
        settings, reference, lambda session, job_id: cancel(session, job_id, reason=reason), yes=yes
    )
    if not cancelled.closed:
        echo("Some rows are still in flight; the workers close them when they end.", err=True)
    echo(f"Job {cancelled.job.spec.job_id} is cancelled: {_ended_as(cancelled.job)}.", err=True)
    if as_json:
        print_json(cancelled.job)


def _ended_as(job: Job) -> str:
    """Return what became of the rows: only those of which no write can have left were surely not sent."""
    in_doubt = job.may_have_been_written
    text = f"{count_of(job.counts.cancelled - in_doubt, 'row')} not sent, {job.counts.updated:,} updated before"
    if not in_doubt:
        return text
    return f"{text}, {in_doubt:,} may have been written (`relabel report {job.spec.job_id} --only cancelled`)"
