"""Confirms a job whose rows are prepared, submits it, and carries it out: for `plan`, `verify`, `undo` and `retry`."""

from __future__ import annotations

import click

from cli.carry_out import JobView, carry_on, get_ready
from cli.console import echo, shown
from cli.session import need_api_key, warn_before_sending
from cli.submission import confirm_submission, show_former
from config.settings import Settings
from relabel.derived import Prepared
from relabel.session import Session
from relabel.submit import submit
from relabel.wording import count_of


def require_carrier(settings: Settings, *, here: bool, wait: bool = True) -> None:
    """Refuse to go on where the job could not be carried out here, or where nobody would be left to do so."""
    if here and not wait:
        raise click.UsageError("--no-wait is for deployed workers; a job that runs here ends with this command.")
    if here:
        need_api_key(settings)
    else:
        warn_before_sending(settings)


async def carry_out_prepared(session: Session, prepared: Prepared, view: JobView) -> int:
    """Show the job and ask, submit it, and carry it out, follow it or leave it to workers; return the exit code."""
    checked, request, note = prepared
    console, what = view.console, f"{request.kind} of job {request.parent}"
    with checked:
        if note:
            echo(note, err=True)
        if request.parent:
            console.print(shown(f"{count_of(checked.total, 'row')} of job {request.parent} to {request.kind}."))
        await confirm_submission(session, checked, request, console, yes=view.yes, deployed=not view.here)
        signals = await get_ready(session, console) if view.here else None
        submitted = await submit(session, checked, request)
        await show_former(session, submitted, console, what=f"The {what} was submitted before,")
    return await carry_on(session, submitted, signals, view)
