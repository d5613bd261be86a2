"""`relabel cancel`: end a job before its rows are done."""

from __future__ import annotations

import asyncio

import click

from cli.complaint import WrongUse
from cli.door import pass_settings, with_ledger
from cli.who import who
from config.settings import Settings
from ledger.job import JobState
from ledger.ledger import Ledger
from ledger.row import Outcome

CLOSE_WITHIN_S = 15.0
"""How long to wait for workers to put their shards down: a lease runs out after 8 s (`ledger.shards.LEASE_S`)."""


@click.command("cancel")
@click.argument("job_id", metavar="JOB")
@click.option("--reason", default="", help="Why, for the job's log.")
@pass_settings
def cancel_command(settings: Settings, *, job_id: str, reason: str) -> None:
    """End JOB for good: rows that are done stay done, the others end as cancelled.

    \b
    Example:
      relabel cancel 20261123-205318-c81e4f02
      relabel report 20261123-205318-c81e4f02 --only cancelled -o rest.csv
    """

    async def cancel(ledger: Ledger) -> None:
        had = await ledger.jobs.cancel(job_id)
        if had not in {JobState.RUNNING, JobState.PAUSED, JobState.HELD}:
            raise WrongUse(f"job {job_id} is {had}; there is nothing to cancel.")
        await ledger.audit.note(job_id, who=who(), verb="cancel", why=reason)
        await _close(ledger, job_id)
        counts = (await ledger.jobs.get(job_id)).counts
        click.echo(
            f"Job {job_id} is cancelled: {counts.cancelled:,} rows were not sent, {counts.updated:,} had been updated.",
            err=True,
        )

    with_ledger(settings, cancel)


async def _close(ledger: Ledger, job_id: str) -> None:
    spec = (await ledger.jobs.get(job_id)).spec
    try:
        async with asyncio.timeout(CLOSE_WITHIN_S):
            while not await ledger.shards.close_all(spec, Outcome.CANCELLED):  # noqa: ASYNC110 - workers send no word
                await asyncio.sleep(0.2)
    except TimeoutError:
        click.echo("Some rows are still in flight; the workers close them when they end.", err=True)
        return
    await ledger.jobs.retire(job_id)
