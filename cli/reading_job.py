"""Carries out a job that only reads, as `plan` and `verify` make it, and follows it to its end."""

from __future__ import annotations

from typing import NamedTuple

import click
from rich.console import Console

from cli.carry_out import carry_out_shown, get_ready, show_end
from cli.console import echo
from cli.exit_codes import DONE, exit_code_of
from cli.output import print_json
from cli.progress import follow
from cli.session import need_api_key, warn_before_sending
from cli.submission import confirm_submission
from config.settings import Settings
from producer.check import Checked
from producer.submit import JobRequest
from relabel.session import Session
from relabel.submit import submit


class ReadingView(NamedTuple):
    """How the job is carried out and shown. `here`: in this process tree; `wait`: it is followed to its end."""

    console: Console
    here: bool
    yes: bool
    wait: bool
    as_json: bool


def require_reading(settings: Settings, *, here: bool, wait: bool) -> None:
    """Refuse to go on where nothing could be read, or where nobody would be left to read."""
    if here and not wait:
        raise click.UsageError("--no-wait is for deployed workers; a job that runs here ends with this command.")
    if here:
        need_api_key(settings)
    else:
        warn_before_sending(settings)


async def carry_out_reading(session: Session, checked: Checked, request: JobRequest, view: ReadingView) -> int:
    """Confirm the job, then carry it out here or hand it to the deployed workers; return the exit code."""
    console = view.console
    await confirm_submission(session, checked, request, console, yes=view.yes, deployed=not view.here)
    signals = await get_ready(session, console) if view.here else None
    job_id = (await submit(session, checked, request)).job_id
    if not view.as_json:
        echo(job_id)
    if signals:
        return await carry_out_shown(session, job_id, signals, console, as_json=view.as_json)
    if view.wait:
        job = await follow(session, job_id, console)
        await show_end(session, job, console, as_json=view.as_json)
        return exit_code_of(job)
    if view.as_json:
        print_json(await session.ledger.jobs.get(job_id))
    return DONE
