"""`relabel resume`: go on with a job that was paused or held."""

from __future__ import annotations

import click

from cli.console import echo, stderr_console
from cli.exit_codes import DONE, NOT_FINISHED
from cli.job_argument import changed_job_argument, with_changed_job
from cli.session import need_api_key, pass_settings
from config.settings import Settings
from ledger.job import JobState
from relabel.control import pause_orphans, resume
from relabel.explain import standing
from relabel.session import Session


@click.command("resume")
@changed_job_argument
@click.option("--run", "carry_out", is_flag=True, help="Run it in this process tree, as `relabel run` does.")
@click.option("--json", "as_json", is_flag=True, help="With --run: print the job as JSON at the end.")
@pass_settings
def resume_command(settings: Settings, *, reference: str, yes: bool, carry_out: bool, as_json: bool) -> int:
    """Continue a paused or held JOB.

    Deployed workers start on it within seconds. One that needs approval stays held until somebody gives it
    (`relabel approve`); the exit code is 3 then.

    \b
    Examples:
      relabel resume 20261123-205318-c81e4f02
      relabel resume 20261123-205318-c81e4f02 --run
    """
    if carry_out:
        need_api_key(settings)
        return with_changed_job(
            settings, reference, lambda session, job_id: _carry_out(session, job_id, as_json=as_json), yes=yes
        )
    had, job, idle = with_changed_job(settings, reference, resume, yes=yes)
    job_id = job.spec.job_id
    if had is JobState.RUNNING:
        echo(f"Job {job_id} is running already.", err=True)
    elif job.state.ended:
        echo(f"Job {job_id} has no row left, so it is finished.", err=True)
        return DONE
    elif job.waits_for_approval:
        echo(f"Job {job_id} is still {standing(job)}", err=True)
        return NOT_FINISHED
    else:
        echo(f"Job {job_id} goes on.", err=True)
    if idle:
        echo(f"It waits, as {idle}: see `relabel health`, or use `relabel resume {job_id} --run`.", err=True)
    return DONE


async def _carry_out(session: Session, job_id: str, *, as_json: bool) -> int:
    from cli.carry_out import resume_and_carry_out  # noqa: PLC0415 - loads what shows progress

    await pause_orphans(session)
    return await resume_and_carry_out(session, job_id, stderr_console(), as_json=as_json)
