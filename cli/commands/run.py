"""`relabel run`: everything in one process tree, from the file to the summary."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from urllib.parse import urlsplit

import click
from pydantic import SecretStr
from rich.console import Console

from cli.carry_out import carry_out_shown, get_ready, resume_and_carry_out
from cli.console import shown, stderr_console
from cli.job_argument import with_changed_job
from cli.options import file_options
from cli.session import in_session, need_api_key, pass_settings
from cli.submission import check_only, confirm_submission, show_checked, show_former, show_rehearsed
from config.settings import Settings
from ledger.approval import NO_APPROVAL
from producer.checked import Checked
from producer.submit import JobRequest
from relabel.control import pause_orphans, resume_interrupted
from relabel.session import Session, local_user
from relabel.submit import FileOptions, check_file, request_for, require_valid_rows, submit
from sandbox import Sandbox, SandboxOptions

SANDBOX_KEY = SecretStr("sandbox")
"""Sent to the bundled API, so that the real key never goes there."""


@click.command("run")
@file_options
@click.option("--sandbox", is_flag=True, help="Rehearse against the bundled API; nothing leaves this machine.")
@click.option("--resume", metavar="JOB", help="Continue a job that was interrupted or paused, instead of FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON at the end.")
@pass_settings
def run_command(
    settings: Settings,
    *,
    options: FileOptions,
    yes: bool,
    only_check: bool,
    sandbox: bool,
    resume: str | None,
    as_json: bool,
) -> int:
    """Apply the FILEs in one process tree, with its own workers.

    Brings its own Redis server unless RELABEL_REDIS__URL names one, and its own workers. Ctrl-C lets the rows in
    flight finish, and --resume continues the job; a second Ctrl-C ends at once.

    \b
    Examples:
      relabel run --sandbox examples/relabel.csv
      OPENAI_API_KEY=... relabel run patches.jsonl.gz --rate 600/m
      relabel run --resume 20261123-205318-c81e4f02
    """
    if bool(options.files) == bool(resume):
        raise click.UsageError("Give either FILE or --resume JOB.")
    if only_check and resume:
        raise click.UsageError("--check is for a FILE, and --resume names a job; leave one out.")
    if not (sandbox or only_check):
        need_api_key(settings, otherwise=", or rehearse with --sandbox")
    console = stderr_console()
    if resume:
        return with_changed_job(
            settings,
            resume,
            lambda session, job_id: _resume(session, job_id, console, sandbox=sandbox, as_json=as_json),
            yes=yes,
        )
    request = request_for(options, settings, by=local_user(settings))
    with check_file(options, settings, stdin=sys.stdin.buffer) as checked:
        if only_check:
            return check_only(settings, checked, options, console, request, deployed=False, as_json=as_json)
        show_checked(checked, request, console)
        require_valid_rows(checked, options)
        return in_session(
            settings,
            lambda session: _run(session, checked, options, console, yes=yes, sandbox=sandbox, as_json=as_json),
        )


async def _run(
    session: Session,
    checked: Checked,
    options: FileOptions,
    console: Console,
    *,
    yes: bool,
    sandbox: bool,
    as_json: bool,
) -> int:
    await pause_orphans(session)
    if sandbox:
        show_rehearsed(checked, _request(options, session), console)
    else:
        await confirm_submission(session, checked, _request(options, session), console, yes=yes, deployed=False)
    async with _sandboxed(session) if sandbox else nullcontext(session) as here:
        signals = await get_ready(here, console)
        submitted = await submit(here, checked, _request(options, here))
        await show_former(here, submitted, console)
        await resume_interrupted(here, submitted)
        console.print(shown(f"Job {submitted.job_id}"))
        return await carry_out_shown(here, submitted.job_id, signals, console, as_json=as_json)


def _request(options: FileOptions, session: Session) -> JobRequest:
    request = request_for(options, session.settings, by=session.user)
    # nothing of a rehearsal leaves the machine, so that nobody need approve it
    return request._replace(approval=NO_APPROVAL) if session.rehearsal else request


async def _resume(session: Session, job_id: str, console: Console, *, sandbox: bool, as_json: bool) -> int:
    await pause_orphans(session)
    async with _sandboxed(session, job_id) if sandbox else nullcontext(session) as here:
        return await resume_and_carry_out(here, job_id, console, as_json=as_json)


@asynccontextmanager
async def _sandboxed(session: Session, job_id: str | None = None) -> AsyncIterator[Session]:
    """Serve the bundled API for as long as the block runs, at the address of the rehearsal that is resumed."""
    port = (urlsplit((await session.ledger.jobs.get(job_id)).spec.target).port or 0) if job_id else 0
    settings = session.settings
    async with Sandbox(SandboxOptions(accept_any_id=True), port=port) as sandbox:
        update = {
            "openai_base_url": sandbox.base_url,
            "openai_api_key": SANDBOX_KEY,
            # the worker reads neither the person's file nor their command for a key
            "secrets_dir": None,
            "api": settings.api.model_copy(update={"key_command": None}),
        }
        yield session._replace(settings=settings.model_copy(update=update), rehearsal=True)
