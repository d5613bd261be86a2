"""`relabel run`: everything in one process tree, from the file to the summary."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

import click
from pydantic import SecretStr
from rich.console import Console

from cli.confirmation import confirm_submission
from cli.console import shown, stderr_console
from cli.former import go_on_if_interrupted, tell_former
from cli.order import FileOptions, checked_file, order_of, order_options, submit_file
from cli.run_job import MakeJob, carry_out_job, resume_job
from cli.session import need_api_key, pass_settings
from config.settings import Settings
from ledger.ledger import Ledger
from producer.check import Checked
from relabel.session import server_for
from sandbox import Sandbox, SandboxOptions
from tasks.announce import announce
from tasks.celery_app import make_app

SANDBOX_KEY = SecretStr("sandbox")
"""Sent to the bundled API, so that the real key never goes there."""


@click.command("run")
@order_options
@click.option("--sandbox", is_flag=True, help="Rehearse against the bundled API; nothing leaves this machine.")
@click.option("--resume", metavar="JOB", help="Go on with a job that was interrupted or paused, instead of FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON at the end.")
@pass_settings
def run_command(settings: Settings, *, asked: FileOptions, sandbox: bool, resume: str | None, as_json: bool) -> int:
    """Apply FILE to the stored chat completions, all in one process tree.

    Brings its own Redis server unless RELABEL_REDIS__URL names one, and its own workers. Ctrl-C lets the rows in
    flight end and leaves a job that --resume goes on with; a second Ctrl-C ends at once.

    \b
    Examples:
      relabel run --sandbox examples/relabel.csv
      OPENAI_API_KEY=... relabel run patches.jsonl.gz --rate 600/m
      relabel run --resume 20261123-205318-c81e4f02
    """
    if bool(asked.file) == bool(resume):
        raise click.UsageError("Give either FILE or --resume JOB.")
    if not sandbox:
        need_api_key(settings, otherwise=", or rehearse with --sandbox")
    console = stderr_console()
    with _checked(asked, settings, resume, console) as checked, server_for(settings) as (reachable, server):
        if checked and not sandbox:
            confirm_submission(checked, order_of(asked, settings), reachable, console, yes=asked.yes)
        make_job = _submit(checked, asked, console) if checked else resume_job(resume or "", console)
        around = functools.partial(_sandboxed, resume=resume) if sandbox else None
        return carry_out_job(reachable, make_job, server=server, console=console, as_json=as_json, around=around)


@contextmanager
def _checked(asked: FileOptions, settings: Settings, resume: str | None, console: Console) -> Iterator[Checked | None]:
    if resume:
        yield None
        return
    with checked_file(asked, settings, console) as checked:
        yield checked


def _submit(checked: Checked, asked: FileOptions, console: Console) -> MakeJob:
    async def make(ledger: Ledger, settings: Settings) -> str:
        send = functools.partial(announce, make_app(settings))
        submitted = await submit_file(checked, order_of(asked, settings), ledger=ledger, announce=send)
        await tell_former(ledger, submitted, console)
        await go_on_if_interrupted(ledger, submitted)
        console.print(shown(f"Job {submitted.job_id}"))
        return submitted.job_id

    return make


@asynccontextmanager
async def _sandboxed(ledger: Ledger, settings: Settings, *, resume: str | None) -> AsyncIterator[Settings]:
    """Serve the bundled API, at the address of an earlier rehearsal where one is resumed."""
    port = (urlsplit((await ledger.jobs.get(resume)).spec.target).port or 0) if resume else 0
    async with Sandbox(SandboxOptions(accept_any_id=True), port=port) as sandbox:
        update = {
            "openai_base_url": sandbox.base_url,
            "openai_api_key": SANDBOX_KEY,
            # the worker reads neither the person's file nor their command for a key
            "secrets_dir": None,
            "api": settings.api.model_copy(update={"key_command": None}),
        }
        yield settings.model_copy(update=update)
