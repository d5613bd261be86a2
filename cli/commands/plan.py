"""`relabel plan`: read what is there and show what would change, and change nothing."""

from __future__ import annotations

import functools
import sys

import click
from click.core import ParameterSource

from cli.carry_out import JobView
from cli.console import stderr_console
from cli.job_argument import with_job
from cli.options import PLAN_HAS_NO, Outcomes, file_options
from cli.prepared_job import carry_out_prepared, require_carrier
from cli.session import in_session, pass_settings
from cli.submission import check_only, show_checked
from config.settings import Settings
from ledger.job_spec import CHANGING_KINDS
from ledger.row import Outcome
from producer.checked import Checked
from relabel.control import pause_orphans
from relabel.derived import Prepared
from relabel.plan import ROWS_OF, plan_request, prepare_plan
from relabel.session import Session, local_user
from relabel.submit import FileOptions, check_file, require_valid_rows

_WITH_FROM = {"parent", "only", "rate", "max_failures", "priority", "name", "yes", "here", "no_wait", "as_json"}
"""Options that are for --from, too; the others say how a file is read."""
DRIFTED = frozenset({Outcome.DRIFTED.word})


@click.command("plan")
@functools.partial(file_options, without=PLAN_HAS_NO)
@click.option("--from", "parent", metavar="JOB", help="Plan rows of JOB again, with the values that it meant.")
@click.option(
    "--only",
    type=Outcomes(ROWS_OF),
    multiple=True,
    help="With --from: rows that ended so, such as drifted,failed. Default: drifted.",
)
@click.option("--run", "here", is_flag=True, help="Run it in this process tree. Default where no Redis is configured.")
@click.option("--no-wait", is_flag=True, help="With deployed workers: print the id and do not follow the plan.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON at the end.")
@pass_settings
def plan_command(
    settings: Settings,
    *,
    options: FileOptions,
    yes: bool,
    only_check: bool,
    parent: str | None,
    only: tuple[frozenset[str], ...],
    here: bool,
    no_wait: bool,
    as_json: bool,
) -> int:
    """Show what FILE would change, and change nothing.

    Reads what each completion holds, as a job of its own.

    Prints the plan's id. `relabel report PLAN --diff` shows every row, `relabel apply PLAN` makes exactly these
    changes. A file that was planned before is read again. The exit code is 0 whether or not something would change, and
    1 where rows failed or were rejected.

    \b
    Examples:
      relabel plan edit.csv
      relabel plan edit.csv --mode replace --json
      relabel plan --from 20261123-205318-c81e4f02 --only drifted,failed
    """
    words = frozenset[str]().union(*only)
    _check_use(options, parent, words)
    here = here or settings.redis.url is None
    if not only_check:
        require_carrier(settings, here=here, wait=not no_wait)
    view = JobView(stderr_console(), here, yes, wait=not no_wait, as_json=as_json)
    if parent:

        async def plan_again(session: Session, job_id: str) -> int:
            return await _plan_again(session, job_id, options, words or DRIFTED, view)

        return with_job(settings, parent, plan_again, kinds=CHANGING_KINDS)
    request = plan_request(options, settings, by=local_user(settings))
    with check_file(options, settings, stdin=sys.stdin.buffer) as checked:
        if only_check:
            return check_only(settings, checked, options, view.console, request, deployed=not here, as_json=as_json)
        show_checked(checked, request, view.console)
        require_valid_rows(checked, options)
        return in_session(settings, lambda session: _plan_file(session, checked, options, view))


def _check_use(options: FileOptions, parent: str | None, only: frozenset[str]) -> None:
    """Refuse options that make no sense together."""
    if bool(options.files) == bool(parent):
        raise click.UsageError("Give either FILE or --from JOB.")
    if only and not parent:
        raise click.UsageError("--only is for --from JOB; leave it out, or name the job.")
    context = click.get_current_context()
    for param in context.command.params if parent else ():
        given = context.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
        if given and param.name not in _WITH_FROM:
            raise click.UsageError(f"{param.opts[0]} is for a FILE, and --from names a job; leave one out.")


async def _plan_file(session: Session, checked: Checked, options: FileOptions, view: JobView) -> int:
    await pause_orphans(session)
    request = plan_request(options, session.settings, by=session.user)
    return await carry_out_prepared(session, Prepared(checked, request, ""), view)


async def _plan_again(session: Session, parent: str, options: FileOptions, only: frozenset[str], view: JobView) -> int:
    await pause_orphans(session)
    prepared = await prepare_plan(session, parent, options, only=only, here=view.here)
    return await carry_out_prepared(session, prepared, view)
