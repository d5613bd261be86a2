"""`relabel rate`: show the rate or set it, live."""

from __future__ import annotations

import click

from cli.console import echo, echo_beside
from cli.job_argument import with_changed_job, with_job
from cli.options import Rate
from cli.output import print_facts
from cli.session import in_session, pass_settings
from config.settings import Settings
from ledger.job import Job
from relabel.explain import paused_because, slowed_because
from relabel.rate import (
    RateResult,
    job_rate_facts,
    rate_facts,
    read_rate,
    require_rate_owner,
    reset_shared_rate,
    set_job_rate,
    set_shared_rate,
)
from relabel.session import Session
from relabel.wording import duration, per_minute

MOST_BURST = 100_000


@click.command("rate")
@click.argument("value", required=False, type=Rate())
@click.option(
    "--job", "reference", metavar="JOB", help="The rate of this job alone; it never goes above the shared rate."
)
@click.option("--burst", type=click.IntRange(1, MOST_BURST), help="Requests that may go at once.")
@click.option("--reset", is_flag=True, help="Go back to the settings; with --job, to the shared rate alone.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask whether `last` is the job that is meant.")
@click.option("--json", "as_json", is_flag=True, help="Print the rate as JSON.")
@pass_settings
def rate_command(
    settings: Settings,
    *,
    value: float | None,
    reference: str | None,
    burst: int | None,
    reset: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Show the shared rate, or set it to VALUE.

    VALUE is a number of requests per time: 600/m, 10/s, 36000/h. A change is in effect within a second on all
    workers and stays until --reset. The rate corrects itself: a 429 slows it down, then it rises again, never above
    what was set; setting or resetting it lets it begin anew. Where workers are set to different rates, the lowest
    one that a living worker has holds for all. While a job runs, selections get at most a tenth of the rate.

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
    if reference is not None:
        if burst is not None:
            raise click.UsageError("--burst belongs to the shared rate; a job has none of its own.")
        job = (
            _set_job_rate(settings, reference, value, yes=yes)
            if value is not None or reset
            else _job(settings, reference)
        )
        print_facts(job_rate_facts(job)) if as_json else echo(_job_line(job))
        return
    require_rate_owner(settings)
    seen = in_session(settings, lambda session: _shared(session, value, burst, reset=reset))
    if as_json:
        print_facts(rate_facts(seen))
    else:
        for word, line in _lines(seen):
            echo_beside(f"{word:<12}", line)


def _job(settings: Settings, reference: str) -> Job:
    return with_job(settings, reference, lambda session, job_id: session.ledger.jobs.get(job_id))


def _set_job_rate(settings: Settings, reference: str, value: float | None, *, yes: bool) -> Job:
    return with_changed_job(settings, reference, lambda session, job_id: set_job_rate(session, job_id, value), yes=yes)


async def _shared(session: Session, value: float | None, burst: int | None, *, reset: bool) -> RateResult:
    if reset:
        return await reset_shared_rate(session)
    if value is None and burst is None:
        return await read_rate(session.settings, session.ledger)
    return await set_shared_rate(session, rate_per_minute=value, burst=burst)


def _job_line(job: Job) -> str:
    if job.rate_per_minute is None:
        return f"Job {job.spec.job_id} has no rate of its own; the shared rate counts."
    return f"Job {job.spec.job_id}: at most {per_minute(job.rate_per_minute)}, and never above the shared rate."


def _lines(seen: RateResult) -> list[tuple[str, str]]:
    in_force, slowed = per_minute(seen.in_force_per_minute), slowed_because(seen.slowed_by)
    live = "no"
    if seen.live_per_minute is not None or seen.live_burst is not None:
        live = f"{per_minute(seen.asked_per_minute)}, burst {seen.burst}; `relabel rate --reset` takes it back"
    lines = [
        ("Configured", f"{per_minute(seen.configured_per_minute)}, burst {seen.configured_burst}"),
        *_worker_rates(seen),
        ("Set live", live),
        ("In force", f"{in_force}, slowed down {slowed}" if slowed else in_force),
        ("Used", f"{per_minute(seen.used_per_minute)} over the last seconds"),
        *_selections(seen),
    ]
    if seen.paused_s > 0:
        lines.append(("Pause", f"{paused_because(seen.paused_by)} for {duration(max(1.0, seen.paused_s))}"))
    return lines


def _selections(seen: RateResult) -> list[tuple[str, str]]:
    """Return what selections use and may have, where they use anything or a job goes before them."""
    is_shared = seen.background_per_minute < seen.in_force_per_minute
    if not (is_shared or seen.background_used_per_minute):
        return []
    most = f"; at most {per_minute(seen.background_per_minute)} while a job runs" if is_shared else ""
    return [("Selections", f"{per_minute(seen.background_used_per_minute)} of it{most}")]


def _worker_rates(seen: RateResult) -> list[tuple[str, str]]:
    """Return what the living workers are set to, where that is not what these settings say."""
    rates = seen.worker_rates_per_minute
    if rates in ([], [seen.configured_per_minute]):
        return []
    said = ", ".join(per_minute(rate) for rate in rates)
    if len(rates) == 1:
        return [("Workers", f"set to {said}")]
    holds = "the live rate holds" if seen.live_per_minute is not None else "the lowest holds for all"
    return [("Workers", f"set to different rates: {said}; {holds}. Set RELABEL_RATE__PER_MINUTE alike.")]
