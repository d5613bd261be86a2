"""`relabel retry`: try the failed rows of a job again."""

from __future__ import annotations

import click

from cli.carry_out import JobView
from cli.console import stderr_console
from cli.derived_job import derived_options, with_parent_job
from cli.prepared_job import carry_out_prepared
from config.settings import Settings
from relabel.derived import DerivedOptions, prepare_retry
from relabel.session import Session


@click.command("retry")
@derived_options
@click.option("--codes", metavar="A,B", help="Only rows that failed with these codes, whether they can work or not.")
@click.option("--all", "everything", is_flag=True, help="All failed rows, also those that can never work.")
def retry_command(
    settings: Settings,
    *,
    reference: str,
    options: DerivedOptions,
    yes: bool,
    as_json: bool,
    codes: str | None,
    everything: bool,
) -> int:
    """Retry the failed rows of JOB as a new job.

    The mode is that of JOB. Rows that can never succeed as they are stay out: those that the API refused
    (not_found, too long, a wrong type), and too_many_pairs, key_not_removed and value_altered. Asking for the same
    retry twice finds the first one, unless --again is given.

    \b
    Examples:
      relabel retry 20261123-205318-c81e4f02
      relabel retry 20261123-205318-c81e4f02 --codes timeout,server_error --run
    """
    if codes is not None and everything:
        raise click.UsageError("Give either --codes or --all.")
    named = None if codes is None else frozenset(code.strip() for code in codes.split(",")) - {""}
    view = JobView(stderr_console(), options.here, yes, wait=False, as_json=as_json)

    async def retry(session: Session, job_id: str) -> int:
        prepared = await prepare_retry(session, job_id, options, codes=named, everything=everything)
        return await carry_out_prepared(session, prepared, view)

    return with_parent_job(settings, reference, retry, here=options.here, yes=yes)
