"""`relabel log`: who changed a job, when and why."""

from __future__ import annotations

import click
import msgspec

from cli.console import echo
from cli.format import local_time
from cli.output import print_facts
from cli.session import pass_settings, with_ledger
from config.settings import Settings
from config.text import printable
from ledger.audit import AuditLine
from ledger.ledger import Ledger


@click.command("log")
@click.argument("job_id", metavar="JOB")
@click.option("--json", "as_json", is_flag=True, help="Print the lines as JSON.")
@pass_settings
def log_command(settings: Settings, *, job_id: str, as_json: bool) -> None:
    """Show who did what to JOB, when and why.

    \b
    Example:
      relabel log 20261123-205318-c81e4f02
    """

    async def read(ledger: Ledger) -> list[AuditLine]:
        await ledger.jobs.get(job_id)
        return await ledger.audit.read(job_id)

    lines = with_ledger(settings, read)
    if as_json:
        print_facts([msgspec.to_builtins(line) for line in lines])
        return
    for line in lines:
        echo(f"{local_time(line.at)}  {printable(line.who, 60)}  {line.verb}  {printable(line.why, 200)}")
