"""`relabel submit`: hand a file to the deployed workers."""

from __future__ import annotations

import functools
from urllib.parse import urlsplit

import click

from cli.confirmation import confirm_submission
from cli.console import echo, shown, stderr_console
from cli.exit_codes import exit_code_of
from cli.former import exit_code_after, tell_former
from cli.order import FileOptions, checked_file, order_of, order_options, submit_file
from cli.output import print_json
from cli.progress import follow
from cli.session import pass_settings, warn_before_sending, with_ledger
from config.checks import base_url_hint
from config.settings import Settings
from ledger.connect import persistence_warnings
from ledger.ledger import Ledger
from relabel.session import require_workers
from tasks.announce import announce
from tasks.celery_app import make_app


@click.command("submit")
@order_options
@click.option("--hold", is_flag=True, help="Store the job, but wait for `relabel resume`.")
@click.option("--wait", is_flag=True, help="Follow the job to its end; the exit code tells how it went.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON instead of its id.")
@pass_settings
def submit_command(settings: Settings, *, asked: FileOptions, hold: bool, wait: bool, as_json: bool) -> int:
    """Hand FILE to the deployed workers and print the job's id.

    FILE is CSV or JSONL, plain, .gz or .zst; - reads standard input. The whole file is checked first; invalid rows
    are reported and the others go on, unless --strict is given.

    A file that was submitted before is not submitted again: its job is named, and the exit code is that of `run`. A job
    that was cancelled or lost, or that ended without a row updated or unchanged, does not count.

    \b
    Examples:
      relabel submit patches.csv --rate 600/m
      zcat patches.jsonl.gz | relabel submit - --mode replace --wait
    """
    require_workers(settings, "`relabel run`")
    warn_before_sending(settings)
    console = stderr_console()
    with checked_file(asked, settings, console) as checked:
        order = order_of(asked, settings, hold=hold)
        confirm_submission(checked, order, settings, console, yes=asked.yes)

        async def hand_over(ledger: Ledger) -> int:
            if not urlsplit(settings.openai_base_url).path:
                what = f"{settings.openai_base_url} may be the wrong OPENAI_BASE_URL{base_url_hint(order.target)}."
                console.print(shown(f"Warning: {what}"))
            for warning in await persistence_warnings(ledger.redis):
                console.print(shown(f"Warning: {warning}"))
            send = functools.partial(announce, make_app(settings))
            submitted = await submit_file(checked, order, ledger=ledger, announce=send)
            await tell_former(ledger, submitted, console)
            job_id = submitted.job_id
            job = await (
                follow(ledger, job_id, console=console, shared_rate=settings.rate.per_minute)
                if wait
                else ledger.jobs.get(job_id)
            )
            print_json(job) if as_json else echo(job_id)
            return exit_code_of(job) if wait else exit_code_after(submitted, job)

        return with_ledger(settings, hand_over)
