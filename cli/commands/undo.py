"""`relabel undo`: restore what a job changed."""

from __future__ import annotations

import click

from cli.carry_out import JobView
from cli.console import stderr_console
from cli.derived_job import derived_options, with_parent_job
from cli.prepared_job import carry_out_prepared
from config.settings import Settings
from relabel.derived import DerivedOptions, prepare_undo
from relabel.session import Session


@click.command("undo")
@derived_options
@click.option("--force", is_flag=True, help="Restore also what somebody else changed since.")
@click.option("--keys", metavar="A,B", help="Restore these metadata keys only.")
def undo_command(
    settings: Settings,
    *,
    reference: str,
    options: DerivedOptions,
    yes: bool,
    as_json: bool,
    force: bool,
    keys: str | None,
) -> int:
    """Restore the metadata that JOB changed, as a new job.

    Each completion is read first. Where a key holds neither what JOB wrote nor what it held before, somebody else
    changed it since: the row is left alone and ends as drifted. Keys that JOB did not change are never touched. Keys
    that the service will not remove are reported (key_not_removed).

    An undo can be undone: it is a job like any other. Asking for the same undo twice finds the first one; once that
    one was undone itself, --again makes a new one.

    \b
    Examples:
      relabel undo 20261123-205318-c81e4f02
      relabel undo 20261123-205318-c81e4f02 --keys team,reviewed --run
    """
    only = _named(keys)
    view = JobView(stderr_console(), options.here, yes, wait=False, as_json=as_json)

    async def undo(session: Session, job_id: str) -> int:
        prepared = await prepare_undo(session, job_id, options, keys=only, force=force)
        return await carry_out_prepared(session, prepared, view)

    return with_parent_job(settings, reference, undo, here=options.here, yes=yes)


def _named(keys: str | None) -> frozenset[str] | None:
    if keys is None:
        return None
    named = frozenset(key.strip() for key in keys.split(",")) - {""}
    if not named:
        raise click.UsageError("--keys names no key; write --keys team,reviewed.")
    return named
