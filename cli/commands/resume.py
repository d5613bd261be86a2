"""`relabel resume`: go on with a job that was paused or held."""

from __future__ import annotations

import click

from cli.console import echo, stderr_console
from cli.session import in_session, need_api_key, pass_settings
from config.settings import Settings
from ledger.job import JobState
from relabel.control import pause_orphans, resume
from relabel.session import Session


@click.command("resume")
@click.argument("job_id", metavar="JOB")
@click.option("--run", "carry_out", is_flag=True, help="Run it in this process tree, as `relabel run` does.")
@click.option("--json", "as_json", is_flag=True, help="With --run: print the job as JSON at the end.")
@pass_settings
def resume_command(settings: Settings, *, job_id: str, carry_out: bool, as_json: bool) -> int:
    """Continue a paused or held JOB.

    Deployed workers start on it within seconds.

    \b
    Examples:
      relabel resume 20261123-205318-c81e4f02
      relabel resume 20261123-205318-c81e4f02 --run
    """
    if carry_out:
        need_api_key(settings)
        return in_session(settings, lambda session: _carry_out(session, job_id, as_json=as_json))
    had, job, workers = in_session(settings, lambda session: resume(session, job_id))
    if had is JobState.RUNNING:
        echo(f"Job {job_id} is running already.", err=True)
    elif job.state.ended:
        echo(f"Job {job_id} has no row left, so it is finished.", err=True)
        return 0
    else:
        echo(f"Job {job_id} goes on.", err=True)
    if not workers:
        echo(f"No worker is there; start one, or use `relabel resume {job_id} --run`.", err=True)
    return 0


async def _carry_out(session: Session, job_id: str, *, as_json: bool) -> int:
    from cli.carry_out import resume_and_carry_out  # noqa: PLC0415 - loads what shows progress

    await pause_orphans(session)
    return await resume_and_carry_out(session, job_id, stderr_console(), as_json=as_json)
