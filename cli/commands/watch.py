"""`relabel watch`: follow a job until it ends or pauses."""

from __future__ import annotations

import click
from rich.console import Console

from cli.console import stderr_console
from cli.exit_codes import exit_code_of
from cli.job_argument import job_argument, with_job
from cli.output import print_facts
from cli.progress import OutageNotice, follow
from cli.session import pass_settings
from cli.summary import print_summary
from config.settings import Settings
from ledger.job import Job
from relabel.facts import job_facts
from relabel.findings import collect_findings
from relabel.session import Session
from relabel.snapshots import job_snapshots

OBJECT_EVERY_S = 1.0
"""How often --json looks for something new to print."""


@click.command("watch")
@job_argument
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON lines: the job whenever it changed; at its end the last."
)
@pass_settings
def watch_command(settings: Settings, *, reference: str, as_json: bool) -> int:
    """Follow JOB until it ends, is paused or is held.

    The exit code is that of `run`. Ctrl-C ends the watching, not the job.

    \b
    Example:
      relabel watch 20261123-205318-c81e4f02
    """
    return with_job(settings, reference, lambda session, job_id: _watch(session, job_id, as_json=as_json))


async def _watch(session: Session, job_id: str, *, as_json: bool) -> int:
    console = stderr_console()
    if as_json:
        return exit_code_of(await _print_changes(session, job_id, console))
    job = await follow(session, job_id, console)
    print_summary(job, await collect_findings(session, job), console, after_follow=True)
    return exit_code_of(job)


async def _print_changes(session: Session, job_id: str, console: Console) -> Job:
    outages = OutageNotice(console)
    printed = None
    async for seen in job_snapshots(session, job_id, every_s=OBJECT_EVERY_S):
        outages.show(seen)
        facts = job_facts(seen.job)
        if facts != printed:
            print_facts(facts, one_line=True)
            printed = facts
    return seen.job
