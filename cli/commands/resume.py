"""`relabel resume`: go on with a job that was paused or held."""

from __future__ import annotations

import click

from cli import control
from cli.console import echo, stderr_console
from cli.errors import CliError
from cli.session import need_api_key, pass_settings, with_ledger
from config.settings import Settings
from ledger.job import JobState
from ledger.ledger import Ledger
from relabel.session import server_for


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
        return _carry_out(settings, job_id, as_json=as_json)

    async def resume(ledger: Ledger) -> int:
        had = await control.resume(ledger, job_id)
        if had is JobState.RUNNING:
            echo(f"Job {job_id} is running already.", err=True)
        elif had not in {JobState.PAUSED, JobState.HELD}:
            raise CliError(f"job {job_id} is {had}; only a paused or held job can be resumed.")
        elif (await ledger.jobs.get(job_id)).state.ended:
            echo(f"Job {job_id} has no row left, so it is finished.", err=True)
            return 0
        else:
            echo(f"Job {job_id} goes on.", err=True)
        if not await ledger.shards.children():
            echo(f"No worker is there; start one, or use `relabel resume {job_id} --run`.", err=True)
        return 0

    return with_ledger(settings, resume)


def _carry_out(settings: Settings, job_id: str, *, as_json: bool) -> int:
    from cli.run_job import carry_out_job, resume_job  # noqa: PLC0415 - loads Celery

    need_api_key(settings)
    console = stderr_console()
    with server_for(settings) as (reachable, server):
        return carry_out_job(reachable, resume_job(job_id, console), server=server, console=console, as_json=as_json)
