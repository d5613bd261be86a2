"""`relabel apply`: make exactly the changes that a plan shows."""

from __future__ import annotations

import click

from cli.apply_plan import apply_plan
from cli.carry_out import JobView
from cli.console import stderr_console
from cli.job_argument import job_argument
from cli.options import Canary, Rate
from cli.prepared_job import require_carrier
from cli.session import in_session, pass_settings
from config.canary import CanaryShare
from config.settings import Settings
from ledger.job_spec import Kind
from relabel.apply import ApplyOptions
from relabel.control import pause_orphans
from relabel.job_reference import find_job
from relabel.session import Session


@click.command("apply")
@job_argument
@click.option(
    "--canary",
    type=Canary(),
    metavar="1%|N",
    help="Carry out this share of the rows first (20 to 1,000 rows) and read them back. Where any failed, or more than "
    "10% drifted, the job pauses before the others.",
)
@click.option("--rate", type=Rate(), help="Slow the job down, as in `submit`. Default: the plan's own rate.")
@click.option("--name", help="Name of the new job.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask; needed where there is no terminal.")
@click.option(
    "--max-changes", type=click.IntRange(min=0), metavar="N", help="Apply nothing where more completions would change."
)
@click.option("--run", "here", is_flag=True, help="Run it in this process tree. Default where no Redis is configured.")
@click.option("--no-wait", is_flag=True, help="With deployed workers: print the id and do not follow the job.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON at the end.")
@pass_settings
def apply_command(
    settings: Settings,
    *,
    reference: str,
    canary: CanaryShare | None,
    rate: float | None,
    name: str | None,
    yes: bool,
    max_changes: int | None,
    here: bool,
    no_wait: bool,
    as_json: bool,
) -> int:
    """Make exactly the changes that the plan JOB shows.

    Shows them, and asks.

    Each completion is read again: one that holds what it held for the plan is written, one that holds the new values
    is unchanged, and any other is left alone and ends as drifted. Keys that the plan does not change are kept, and no
    drift; in `replace` mode the whole map counts. A plan that was altered is refused.

    A plan is applied by one job: asking again follows it. After a cancelled one, a new job makes the changes that are
    left. The job can be paused, resumed, cancelled and undone as any other.

    \b
    Examples:
      relabel apply last --canary 1%
      relabel apply 20261123-205318-c81e4f02 --yes --max-changes 500

    The exit code is that of the job: 0 all rows as wanted, 1 some failed or had drifted, 3 held for approval,
    paused (by the canary, for example) or cancelled; 2 where the plan cannot be applied.
    """
    here = here or settings.redis.url is None
    require_carrier(settings, here=here, wait=not no_wait)
    options = ApplyOptions(rate, name, canary, here, max_changes)
    view = JobView(stderr_console(), here, yes, wait=not no_wait, as_json=as_json)
    return in_session(settings, lambda session: _apply(session, reference, options, view))


async def _apply(session: Session, reference: str, options: ApplyOptions, view: JobView) -> int:
    await pause_orphans(session)
    meant = await find_job(session, reference, {Kind.PLAN})
    return await apply_plan(session, meant.job_id, options, view)
