"""`relabel undo`: restore what a job changed."""

from __future__ import annotations

from pathlib import Path

import click

from cli.console import echo
from cli.errors import CliError
from cli.follow_up import FollowUp, Made, follow_up, follow_up_options
from config.settings import Settings
from ledger.job import Job, JobState, Kind, Mode
from ledger.ledger import Ledger
from producer.check import check_made
from producer.submit import JobRequest
from producer.undo import undo_columns, undo_rows


@click.command("undo")
@follow_up_options
@click.option("--force", is_flag=True, help="Restore also what somebody else changed since.")
@click.option("--keys", metavar="A,B", help="Restore these metadata keys only.")
def undo_command(settings: Settings, *, asked: FollowUp, force: bool, keys: str | None) -> int:
    """Restore what JOB changed: a new job that gives every row the metadata it held before.

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

    async def make(ledger: Ledger, job: Job, spool_dir: Path) -> Made:
        spec = job.spec
        if not spec.journal:
            raise CliError(f"job {spec.job_id} kept nothing to restore (--no-undo); submit a file with the old values.")
        rows = undo_rows(ledger, spec, keys=only, force=force)
        checked = await check_made(rows, columns=undo_columns(spec.columns), mode=Mode.MERGE, spool_dir=spool_dir)
        if not checked.total:
            checked.close()
            limit = " in these keys" if only else ""
            raise CliError(f"job {spec.job_id} changed nothing{limit}, so there is nothing to undo.")
        if job.state in {JobState.PAUSED, JobState.HELD}:
            echo(f"Job {spec.job_id} is {job.state} and may be resumed; `relabel cancel` ends it.", err=True)
        return checked, JobRequest("", Mode.MERGE, True, spec.target, 1, 1.0, kind=Kind.UNDO, parent=spec.job_id)

    return follow_up(settings, asked, make, remark=_remark(keys, force=force))


def _named(keys: str | None) -> frozenset[str] | None:
    if keys is None:
        return None
    named = frozenset(key.strip() for key in keys.split(",")) - {""}
    if not named:
        raise click.UsageError("--keys names no key; write --keys team,reviewed.")
    return named


def _remark(keys: str | None, *, force: bool) -> str:
    return (", forced" if force else "") + (f", keys {keys}" if keys else "")
