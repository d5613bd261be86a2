"""What `undo` and `retry` have in common: their options, and the job that they are about."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from cli.job_argument import with_changed_job
from cli.options import Rate
from cli.session import need_api_key, pass_settings
from config.settings import Settings
from ledger.job_spec import CHANGING_KINDS
from relabel.control import pause_orphans
from relabel.derived import DerivedOptions
from relabel.session import Session, require_workers

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
