"""`relabel submit`: hand a file to the deployed workers."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import click

from cli.carry_out import JobView, carry_on
from cli.console import shown, stderr_console
from cli.options import file_options
from cli.session import in_session, pass_settings, warn_before_sending
from cli.submission import check_only, confirm_submission, show_checked, show_former
from config.checks import base_url_hint
from config.settings import Settings
from ledger.connect import persistence_warnings
from producer.checked import Checked
from producer.submit import JobRequest
from relabel.session import Session, local_user, require_workers
from relabel.submit import FileOptions, check_file, request_for, require_valid_rows, submit


@click.command("submit")
@file_options
@click.option("--hold", is_flag=True, help="Store the job, but wait for `relabel resume`.")
@click.option("--wait", is_flag=True, help="Follow the job to its end; the exit code is that of `run`.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON instead of its id.")
@pass_settings
def submit_command(
    settings: Settings,
    *,
    options: FileOptions,
    yes: bool,
    only_check: bool,
    hold: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Hand the FILEs to deployed workers as one job.

    A FILE is CSV or JSONL, plain, .gz or .zst, a folder of such files, or a pattern; - reads standard input. All of it
    is checked first; rejected rows are reported and the others go on, unless --strict is given. Prints the job's id.

    A file that was submitted before is not submitted again: its job is named, and the exit code is that of `run`. A job
    that was cancelled or lost, or that ended without a row updated or unchanged, does not count.

    \b
    Examples:
      relabel submit patches.csv --check
      relabel submit patches.csv --rate 600/m
      relabel submit exports/ 'more/*.csv'
      zcat patches.jsonl.gz | relabel submit - --mode replace --wait
    """
    if not only_check:
        require_workers(settings, "`relabel run`, or the page Submit where `relabel serve --run` runs")
        warn_before_sending(settings)
    if not options.files:
        raise click.UsageError("Missing argument 'FILE'.")
    console = stderr_console()
    view = JobView(console, here=False, yes=yes, wait=wait, as_json=as_json)
    request = request_for(options, settings, by=local_user(settings), hold=hold)
    with check_file(options, settings, stdin=sys.stdin.buffer) as checked:
        if only_check:
            return check_only(settings, checked, options, console, request, deployed=True, as_json=as_json)
        show_checked(checked, request, console)
        require_valid_rows(checked, options)

        async def hand_over(session: Session) -> int:
            await confirm_submission(session, checked, request, console, yes=yes, deployed=True)
            return await _submit(session, checked, request, view)

        return in_session(settings, hand_over)


async def _submit(session: Session, checked: Checked, request: JobRequest, view: JobView) -> int:
    ledger, settings, console = session.ledger, session.settings, view.console
    if not urlsplit(settings.openai_base_url).path:
        what = f"{settings.openai_base_url} may be the wrong OPENAI_BASE_URL{base_url_hint(request.target)}."
        console.print(shown(f"Warning: {what}"))
    for warning in await persistence_warnings(ledger.redis):
        console.print(shown(f"Warning: {warning}"))
    submitted = await submit(session, checked, request)
    await show_former(session, submitted, console)
    return await carry_on(session, submitted, None, view)
