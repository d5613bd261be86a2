"""`relabel rate`: look at the rate and change it, live."""

from __future__ import annotations

import click

from cli.console import echo
from cli.errors import CliError
from cli.order import Rate
from cli.output import print_facts
from cli.session import pass_settings, with_ledger
from config.settings import Settings
from ledger.job import Job
from ledger.ledger import Ledger
from ratelimit.shared_rate import RateSeen, jobs_on, look_at_rate, reset_rate, set_rate
from relabel.explain import paused_because, slowed_because
from relabel.session import current_user
from relabel.wording import duration, per_minute

MOST_BURST = 100_000


@click.command("rate")
@click.argument("value", required=False, type=Rate())
@click.option("--job", "job_id", metavar="JOB", help="The rate of this job alone; it never goes above the shared rate.")
@click.option("--burst", type=click.IntRange(1, MOST_BURST), help="Requests that may go at once.")
@click.option("--reset", is_flag=True, help="Go back to the settings; with --job, to the shared rate alone.")
@click.option("--json", "as_json", is_flag=True, help="Print the rate as JSON.")
@pass_settings
def rate_command(
    settings: Settings, *, value: float | None, job_id: str | None, burst: int | None, reset: bool, as_json: bool
) -> None:
    """Show the rate that all workers share, or set it to VALUE: 600/m, 10/s, 36000/h.

    A change is in effect within a second on all workers and stays until --reset. The rate corrects itself: a 429
    slows it down, then it rises again, never above what was set; setting or resetting it lets it begin anew. Where
    workers are set to different rates, the lowest one that a living worker has holds for all.

    The rate belongs to OPENAI_BASE_URL with RELABEL_RATE__NAME, else with OPENAI_PROJECT_ID, else with OPENAI_API_KEY
    and OPENAI_ORG_ID. This command needs the values that the workers have; with --job it does not.

    \b
    Examples:
      relabel rate
      relabel rate 1200/m --burst 5
      relabel rate 60/m --job 20261123-205318-c81e4f02
    """
    if reset and (value is not None or burst is not None):
        raise click.UsageError("Give either a new rate or --reset.")
    if job_id is not None:
        if burst is not None:
            raise click.UsageError("--burst belongs to the shared rate; a job has none of its own.")
        with_ledger(settings, lambda ledger: _of_job(ledger, job_id, value, reset=reset, as_json=as_json))
        return
    if not (settings.rate.name or settings.openai_project_id or settings.openai_api_key):
        raise CliError(
            "OPENAI_API_KEY is not set, nor RELABEL_RATE__NAME or OPENAI_PROJECT_ID; the shared rate belongs to one of "
            "them. Set the workers'."
        )
    with_ledger(settings, lambda ledger: _shared(settings, ledger, value, burst, reset=reset, as_json=as_json))


async def _of_job(ledger: Ledger, job_id: str, value: float | None, *, reset: bool, as_json: bool) -> None:
    job = await ledger.jobs.get(job_id)
    if value is not None or reset:
        if job.state.ended:
            raise CliError(f"job {job_id} is {job.state}; its rate matters no more.")
        await ledger.jobs.set_rate(job_id, value)
        await ledger.audit.note(job_id, who=current_user(), verb="rate", why=per_minute(value) if value else "reset")
        job = await ledger.jobs.get(job_id)
    if as_json:
        print_facts({"job_id": job_id, "rate_per_minute": job.rate_per_minute})
    else:
        echo(_job_line(job))


def _job_line(job: Job) -> str:
    if job.rate_per_minute is None:
        return f"Job {job.spec.job_id} has no rate of its own; the shared rate counts."
    return f"Job {job.spec.job_id}: at most {per_minute(job.rate_per_minute)}, and never above the shared rate."


async def _shared(
    settings: Settings, ledger: Ledger, value: float | None, burst: int | None, *, reset: bool, as_json: bool
) -> None:
    changed = reset or value is not None or burst is not None
    if reset:
        await reset_rate(settings, ledger)
    elif changed:
        await set_rate(settings, ledger, per_minute=value, burst=burst)
    seen = await look_at_rate(settings, ledger)
    if changed:
        what = f"shared rate {per_minute(seen.asked_per_minute)}, burst {_burst(seen)}{', as configured' * reset}"
        for job_id in await jobs_on(settings, ledger):
            await ledger.audit.note(job_id, who=current_user(), verb="rate", why=what)
    if as_json:
        print_facts(seen._asdict())
    else:
        for word, line in _lines(seen):
            echo(f"{word:<12}{line}")


def _lines(seen: RateSeen) -> list[tuple[str, str]]:
    in_force, slowed = per_minute(seen.in_force_per_minute), slowed_because(seen.slowed_by)
    live = "no"
    if seen.live_per_minute is not None or seen.live_burst is not None:
        live = f"{per_minute(seen.asked_per_minute)}, burst {_burst(seen)}; `relabel rate --reset` takes it back"
    lines = [
        ("Configured", f"{per_minute(seen.configured_per_minute)}, burst {seen.configured_burst}"),
        *_worker_rates(seen),
        ("Set live", live),
        ("In force", f"{in_force}, slowed down {slowed}" if slowed else in_force),
        ("Used", f"{per_minute(seen.used_per_minute)} over the last seconds"),
    ]
    if seen.paused_s > 0:
        lines.append(("Pause", f"{paused_because(seen.paused_by)} for {duration(max(1.0, seen.paused_s))}"))
    return lines


def _worker_rates(seen: RateSeen) -> list[tuple[str, str]]:
    """Return what the living workers are set to, where that is not what these settings say."""
    rates = seen.worker_rates_per_minute
    if rates in ([], [seen.configured_per_minute]):
        return []
    said = ", ".join(per_minute(round(rate, 1)) for rate in rates)
    if len(rates) == 1:
        return [("Workers", f"set to {said}")]
    holds = "the live rate holds" if seen.live_per_minute is not None else "the lowest holds for all"
    return [("Workers", f"set to different rates: {said}; {holds}. Set RELABEL_RATE__PER_MINUTE alike.")]


def _burst(seen: RateSeen) -> int:
    return seen.live_burst or seen.configured_burst
