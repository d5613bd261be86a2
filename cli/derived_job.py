"""What `undo` and `retry` have in common: their options, and what follows once the new job's rows are there."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click
from rich.console import Console

from cli.carry_out import carry_out_shown, get_ready
from cli.console import echo, shown, stderr_console
from cli.job_argument import with_changed_job
from cli.options import Rate
from cli.output import print_json
from cli.session import need_api_key, pass_settings
from cli.submission import confirm_submission, exit_code_after, show_former
from config.settings import Settings
from ledger.job import CHANGING_KINDS
from producer.submit import Submitted
from relabel.control import pause_orphans, resume_interrupted
from relabel.derived import DerivedOptions, Prepared
from relabel.session import Session, require_workers
from relabel.submit import submit
from relabel.wording import count_of

F = TypeVar("F", bound=Callable[..., Any])


def derived_options(verb: F) -> F:
    """Add the options of `DerivedOptions` to a verb, which receives them as `options`, and JOB, --yes and --json."""

    @functools.wraps(verb)
    def gathered(*args: Any, **kwargs: Any) -> Any:
        fields = {name: kwargs.pop(name) for name in DerivedOptions._fields}
        return verb(*args, options=DerivedOptions(**fields), **kwargs)

    options = [
        click.argument("reference", metavar="JOB"),
        click.option("--rate", type=Rate(), help="Slow the new job down, as in `submit`. Default: JOB's own rate."),
        click.option("--name", help="Name of the new job."),
        click.option("--again", is_flag=True, help="Make a new job although the same one was made of JOB before."),
        click.option(
            "--yes", "-y", is_flag=True, help="Answer yes: to many completions, and to JOB where it is `last`."
        ),
        click.option("--run", "here", is_flag=True, help="Run it in this process tree, as `relabel run` does."),
        click.option("--json", "as_json", is_flag=True, help="Print the new job as JSON, with --run at its end."),
    ]
    wrapped: Any = pass_settings(gathered)
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]


def with_parent_job(
    settings: Settings, reference: str, verb: Callable[[Session, str], Awaitable[int]], *, here: bool, yes: bool
) -> int:
    """Run the verb on the job that is meant, in a session where a new job can be carried out.

    That is by this process tree (`here`), or by deployed workers.
    """
    if here:
        need_api_key(settings)
    else:
        require_workers(settings, "--run")

    async def run(session: Session, job_id: str) -> int:
        await pause_orphans(session)
        return await verb(session, job_id)

    return with_changed_job(settings, reference, run, yes=yes, kinds=CHANGING_KINDS)


async def carry_out_derived(session: Session, prepared: Prepared, *, here: bool, yes: bool, as_json: bool) -> int:
    """Confirm the new job, then carry it out here or hand it to the deployed workers; return the exit code."""
    checked, request, note = prepared
    console = stderr_console()
    with checked:
        if note:
            echo(note, err=True)
        console.print(shown(f"{count_of(checked.total, 'row')} of job {request.parent} to {request.kind}."))
        await confirm_submission(session, checked, request, console, yes=yes, deployed=not here)
        if not here:
            submitted = await _submit(session, prepared, console)
            job = await session.ledger.jobs.get(submitted.job_id)
            print_json(job) if as_json else echo(submitted.job_id)
            return exit_code_after(submitted, job)
        signals = await get_ready(session, console)
        submitted = await _submit(session, prepared, console)
        await resume_interrupted(session, submitted)
        echo(f"Job {submitted.job_id}", err=True)
        return await carry_out_shown(session, submitted.job_id, signals, console, as_json=as_json)


async def _submit(session: Session, prepared: Prepared, console: Console) -> Submitted:
    request = prepared.request
    submitted = await submit(session, prepared.checked, request)
    what = f"The {request.kind} of job {request.parent} was submitted before,"
    await show_former(session, submitted, console, what=what)
    return submitted
