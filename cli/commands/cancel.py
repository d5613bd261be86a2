"""`relabel cancel`: end a job before its rows are done."""

from __future__ import annotations

import asyncio

import click

from cli.console import echo
from cli.errors import CliError
from cli.output import print_json
from cli.session import pass_settings, with_ledger
from config.settings import Settings
from ledger.job import Job, JobState
from ledger.ledger import Ledger
from ledger.row import Outcome
from relabel.session import current_user
from relabel.wording import count_of

CLOSE_WITHIN_S = 15.0
"""How long to wait for workers to put their shards down: a lease runs out after 8 s (`ledger.shards.LEASE_S`)."""


@click.command("cancel")
@click.argument("job_id", metavar="JOB")
@click.option("--reason", default="", help="Why, for the job's log.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
@pass_settings
def cancel_command(settings: Settings, *, job_id: str, reason: str, as_json: bool) -> None:
    """End JOB for good; finished rows stay as they are.

    The other rows end as cancelled. Cancelled rows of which a write may have left before are counted, and marked
    may_have_been_written in the report. `relabel undo` restores them, too.

    \b
    Example:
      relabel cancel 20261123-205318-c81e4f02
      relabel report 20261123-205318-c81e4f02 --only cancelled -o rest.csv
    """

    async def cancel(ledger: Ledger) -> None:
        had = await ledger.jobs.cancel(job_id)
        if had not in {JobState.RUNNING, JobState.PAUSED, JobState.HELD}:
            raise CliError(f"job {job_id} is {had}; there is nothing to cancel.")
        await ledger.audit.note(job_id, who=current_user(), verb="cancel", why=reason)
        await _close(ledger, job_id)
        job = await ledger.jobs.get(job_id)
        echo(f"Job {job_id} is cancelled: {_ended_as(job)}.", err=True)
        if as_json:
            print_json(job)

    with_ledger(settings, cancel)


def _ended_as(job: Job) -> str:
    """Return what became of the rows: only those of which no write can have left were surely not sent."""
    in_doubt = job.may_have_been_written
    said = f"{count_of(job.counts.cancelled - in_doubt, 'row')} not sent, {job.counts.updated:,} updated before"
    if not in_doubt:
        return said
    return f"{said}, {in_doubt:,} may have been written (`relabel report {job.spec.job_id} --only cancelled`)"


async def _close(ledger: Ledger, job_id: str) -> None:
    spec = (await ledger.jobs.get(job_id)).spec
    try:
        async with asyncio.timeout(CLOSE_WITHIN_S):
            while not await ledger.shards.close_all(spec, Outcome.CANCELLED):  # noqa: ASYNC110 - workers send no word
                await asyncio.sleep(0.2)
    except TimeoutError:
        echo("Some rows are still in flight; the workers close them when they end.", err=True)
        return
    await ledger.jobs.retire(job_id)
