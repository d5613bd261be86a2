"""What `undo` and `retry` have in common: a new job that is made of another one's rows."""

from __future__ import annotations

import asyncio
import functools
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
from rich.console import Console

from cli.confirmation import confirm_submission
from cli.console import echo, shown, stderr_console
from cli.errors import CliError
from cli.former import exit_code_after, go_on_if_interrupted, tell_former
from cli.order import Rate
from cli.output import print_json
from cli.run_job import MakeJob, carry_out_job, pause_orphans
from cli.session import ledger_of, need_api_key, pass_settings
from config.settings import Settings
from embedded.server import EmbeddedServer
from ledger.errors import StateLost
from ledger.job import Job, JobState
from ledger.ledger import Ledger
from producer.check import Checked
from producer.submit import DAY_S, JobRequest, Submitted, submit
from relabel.session import current_user, require_workers, server_for
from relabel.wording import count_of
from tasks.announce import announce
from tasks.celery_app import make_app

F = TypeVar("F", bound=Callable[..., Any])


class FollowUp(NamedTuple):
    """The options of `undo` and `retry` that say how the new job is made and carried out."""

    job_id: str
    rate: float | None
    name: str | None
    again: bool
    yes: bool
    run: bool
    as_json: bool


Made = tuple[Checked, JobRequest]
Give = Callable[[Ledger, Settings], Awaitable[Submitted]]
"""Submits the new job, or finds the one that was made of the same rows before."""
Make = Callable[[Ledger, Job, Path], Awaitable[Made]]
"""Makes the rows of the new job, with an order that says the rest: its mode, its journal, its kind."""


def follow_up_options(verb: F) -> F:
    """Give a verb the options that `FollowUp` holds; it gets them as one value, `asked`."""

    @functools.wraps(verb)
    def gathered(*args: Any, **kwargs: Any) -> Any:
        fields = {name: kwargs.pop(name) for name in FollowUp._fields}
        return verb(*args, asked=FollowUp(**fields), **kwargs)

    options = [
        click.argument("job_id", metavar="JOB"),
        click.option("--rate", type=Rate(), help="Slow the new job down, as in `submit`. Default: JOB's own rate."),
        click.option("--name", help="Name of the new job."),
        click.option("--again", is_flag=True, help="Make a new job although the same one was made of JOB before."),
        click.option("--yes", "-y", is_flag=True, help="Do not ask before more than 10,000 completions are changed."),
        click.option("--run", is_flag=True, help="Carry it out in this process tree, as `relabel run` does."),
        click.option("--json", "as_json", is_flag=True, help="Print the new job as JSON, with --run at its end."),
    ]
    wrapped: Any = pass_settings(gathered)
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


def follow_up(settings: Settings, asked: FollowUp, make: Make, *, remark: str = "") -> int:
    """Make a job of another one's rows, and carry it out or hand it to the deployed workers.

    `remark` is for the log of both jobs.
    """
    if asked.run:
        need_api_key(settings)
    else:
        require_workers(settings, "--run")
    console = stderr_console()
    spool = Path(tempfile.gettempdir())  # for files without a name
    with server_for(settings) as (reachable, server):
        checked, order = asyncio.run(_made(reachable, server, asked, lambda ledger, job: make(ledger, job, spool)))
        with checked:
            console.print(shown(f"{count_of(checked.total, 'row')} of job {order.parent} to {order.kind}."))
            confirm_submission(checked, order, reachable, console, yes=asked.yes)
            give: Give = functools.partial(_submit, checked=checked, order=order, remark=remark, console=console)
            if asked.run:
                make_job = _to_carry_out(give)
                return carry_out_job(reachable, make_job, server=server, console=console, as_json=asked.as_json)
            return asyncio.run(_hand_over(reachable, give, as_json=asked.as_json))


async def _made(
    settings: Settings, server: EmbeddedServer | None, asked: FollowUp, make: Callable[[Ledger, Job], Awaitable[Made]]
) -> Made:
    async with ledger_of(settings) as ledger:
        await pause_orphans(ledger, server)
        job = await ledger.jobs.get(asked.job_id)
        await _refuse_unfit(ledger, job)
        if asked.run and job.spec.target != settings.openai_base_url:
            where = f"{job.spec.target}, but OPENAI_BASE_URL is {settings.openai_base_url}"
            raise CliError(f"job {asked.job_id} is for {where}; set it to the former and try again.")
        try:
            checked, order = await make(ledger, job)
        except StateLost as error:
            raise CliError(f"Redis lost rows of job {asked.job_id}, so nothing can be made of it.") from error
        return checked, order._replace(
            name=asked.name or f"{order.kind} of {job.spec.name}",
            shard_rows=settings.job.shard_rows,
            keep_s=settings.job.keep_days * DAY_S,
            rate_per_minute=asked.rate or job.rate_per_minute,
            again=asked.again,
        )


async def _refuse_unfit(ledger: Ledger, job: Job) -> None:
    job_id = job.spec.job_id
    if job.state is JobState.LOST:
        raise CliError(f"Redis lost rows of job {job_id}, so nothing can be made of it.")
    if job.state is JobState.SUBMITTING:
        raise CliError(f"job {job_id} is still being stored; wait for it, then pause or cancel it first.")
    if job.state is JobState.RUNNING:
        raise CliError(f"job {job_id} is running; pause or cancel it first.")
    await ledger.shards.rescue(
        job_id
    )  # a worker whose lease ran out may only be stopped: when it goes on, it is refused
    if await ledger.shards.is_leased(job_id):
        raise CliError(f"job {job_id} still has rows in flight; try again in some seconds.")


async def _submit(
    ledger: Ledger, settings: Settings, *, checked: Checked, order: JobRequest, remark: str, console: Console
) -> Submitted:
    send = functools.partial(announce, make_app(settings))
    submitted = await submit(checked, order, ledger=ledger, announce=send)
    parent = order.parent or ""
    await tell_former(ledger, submitted, console, what=f"The {order.kind} of job {parent} was submitted before,")
    if not submitted.existed:
        job_id = submitted.job_id
        await ledger.audit.note(job_id, who=current_user(), verb=order.kind, why=f"of job {parent}{remark}")
        await ledger.audit.note(parent, who=current_user(), verb=order.kind, why=f"as job {job_id}{remark}")
    return submitted


def _to_carry_out(give: Give) -> MakeJob:
    """Go on with a job that is there already and was interrupted."""

    async def make(ledger: Ledger, settings: Settings) -> str:
        submitted = await give(ledger, settings)
        await go_on_if_interrupted(ledger, submitted)
        echo(f"Job {submitted.job_id}", err=True)
        return submitted.job_id

    return make


async def _hand_over(settings: Settings, give: Give, *, as_json: bool) -> int:
    async with ledger_of(settings) as ledger:
        submitted = await give(ledger, settings)
        job = await ledger.jobs.get(submitted.job_id)
        print_json(job) if as_json else echo(submitted.job_id)
        return exit_code_after(submitted, job)
