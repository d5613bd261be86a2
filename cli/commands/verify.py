"""`relabel verify`: read every row of a job again and compare it with what the job left."""

from __future__ import annotations

import click

from cli.carry_out import JobView
from cli.console import stderr_console
from cli.job_argument import job_argument, with_job
from cli.options import Rate
from cli.prepared_job import carry_out_prepared, require_carrier
from cli.session import pass_settings
from config.settings import Settings
from ledger.job_spec import CHANGING_KINDS
from relabel.control import pause_orphans
from relabel.derived import DerivedOptions
from relabel.session import Session
from relabel.verify import prepare_verify


@click.command("verify")
@job_argument
@click.option("--rate", type=Rate(), help="Slow the verification down, as in `submit`. Default: JOB's own rate.")
@click.option("--name", help="Name of the verification.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask where many completions are read.")
@click.option("--run", "here", is_flag=True, help="Run it in this process tree. Default where no Redis is configured.")
@click.option("--no-wait", is_flag=True, help="With deployed workers: print the id and do not follow it.")
@click.option("--json", "as_json", is_flag=True, help="Print the verification as JSON at the end.")
@pass_settings
def verify_command(
    settings: Settings,
    *,
    reference: str,
    rate: float | None,
    name: str | None,
    yes: bool,
    here: bool,
    no_wait: bool,
    as_json: bool,
) -> int:
    """Read JOB's rows again and compare them with what it left.

    A row that differs ends as drifted, with the cause: changed_by_job (a later one, which is named),
    changed_elsewhere, not_applied (JOB left nothing there), or gone. `relabel report` of the verification lists
    them with what they hold now. Nothing is changed. The exit code is 0 where all rows hold, and 1 where some
    differ or could not be read.

    JOB may be verified as often as you like; `relabel status JOB` shows the latest result, `relabel receipt JOB`
    includes it.

    \b
    Examples:
      relabel verify 20261123-205318-c81e4f02
      relabel verify last --json
    """
    here = here or settings.redis.url is None
    require_carrier(settings, here=here, wait=not no_wait)
    view = JobView(stderr_console(), here, yes, wait=not no_wait, as_json=as_json)
    options = DerivedOptions(rate=rate, name=name, here=here)

    async def verify(session: Session, job_id: str) -> int:
        await pause_orphans(session)
        return await carry_out_prepared(session, await prepare_verify(session, job_id, options), view)

    return with_job(settings, reference, verify, kinds=CHANGING_KINDS)
