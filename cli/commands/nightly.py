"""`relabel nightly`: the run that takes the files of the inbox each night."""

from __future__ import annotations

import asyncio
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import click

from cli.console import echo
from cli.errors import CliError
from cli.exit_codes import DONE, NOT_FINISHED, SOME_ROWS_FAILED
from cli.nightly_view import NightSeen, look, night_facts, night_lines
from cli.output import print_facts
from cli.session import pass_settings, with_ledger
from config.schedule import Due, Schedule
from config.settings import Settings
from ledger.clock import utc_time
from ledger.ledger import Ledger
from nightly.state import Night, NightState
from nightly.store import Nights
from relabel.session import current_user, require_workers

LOOK_EVERY_S = 0.5
NO_SCHEDULE = "no nightly run is scheduled; set RELABEL_NIGHTLY__CRON, such as 30 2 * * *"


@click.group("nightly")
def nightly_command() -> None:
    """Take the files of an inbox each night: look at the last run, at the next ones, or run now.

    \b
    Examples:
      relabel nightly status
      relabel nightly next
      relabel nightly run --wait
    """


@nightly_command.command("next")
@click.option("-n", "number", type=click.IntRange(1, 366), default=5, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@pass_settings
def next_command(settings: Settings, *, number: int, as_json: bool) -> int:
    """Show when the next runs are due.

    Times are those of the schedule's time zone.

    \b
    Example:
      relabel nightly next -n 14
    """
    schedule = settings.nightly.schedule
    if schedule is None:
        raise CliError(f"{NO_SCHEDULE}.")
    due = list(islice(schedule.after(datetime.now().astimezone().timestamp()), number))
    if as_json:
        print_facts([{"date": date, "at": utc_time(at)} for date, at in due])
    for each in () if as_json else due:
        echo(_local(schedule, each))
    return DONE


@nightly_command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@pass_settings
def status_command(settings: Settings, *, as_json: bool) -> int:
    """Show the last run, and when the next one is due.

    Shows its files and jobs, and other runs that have not ended. Ends with 1 where a night was missed or skipped, and
    says why.

    \b
    Example:
      relabel nightly status
    """
    schedule = settings.nightly.schedule

    async def tell(ledger: Ledger) -> int:
        night = await Nights(ledger.redis).last()
        others = [each for each in await Nights(ledger.redis).open() if night is None or each.date != night.date]
        missed = await Nights(ledger.redis).missed(schedule) if schedule else None
        seen = None if night is None else await look(ledger, night)
        still_open = [await look(ledger, each) for each in others]
        due = next(schedule.after(await ledger.jobs.now()), None) if schedule else None
        if as_json:
            print_facts(
                {
                    "last": None if seen is None else night_facts(seen),
                    "open": [night_facts(each) for each in still_open],
                    "missed": missed,
                    "next": None if due is None else utc_time(due.at),
                    "cron": settings.nightly.cron,
                    "time_zone": settings.nightly.time_zone,
                }
            )
        else:
            shown = [line for each in (*still_open, seen) if each for line in night_lines(each)]
            for line in [*_missed(missed), *(shown or ["No run was made yet."])]:
                echo(line)
            echo(f"Next: {_local(schedule, due)}" if schedule and due else f"Next: {NO_SCHEDULE}.")
        return SOME_ROWS_FAILED if missed or (night and night.state is NightState.SKIPPED) else DONE

    return with_ledger(settings, tell)


@nightly_command.command("run")
@click.option("--again", is_flag=True, help="Take what is new in the inbox although the date had its run.")
@click.option("--wait", is_flag=True, help="Follow the run to its end; the exit code tells how it went.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON.")
@pass_settings
def run_command(settings: Settings, *, again: bool, wait: bool, as_json: bool) -> int:
    """Take the files of the inbox now.

    The workers that have the inbox do it. It counts as the run that was due last.

    \b
    Example:
      relabel nightly run --wait
    """
    require_workers(settings, "`relabel run FILE`")

    async def run(ledger: Ledger) -> int:
        night = await _begin(settings, ledger, again=again)
        _send_on(settings)
        if not await ledger.shards.children():
            echo("No worker is there; start one with RELABEL_NIGHTLY__INBOX set.", err=True)
        seen = await _follow(ledger, night) if wait else await look(ledger, night)
        if as_json:
            print_facts(night_facts(seen))
        for line in () if as_json else night_lines(seen):
            echo(line)
        return _exit_code(seen) if wait else DONE

    return with_ledger(settings, run)


async def _begin(settings: Settings, ledger: Ledger, *, again: bool) -> Night:
    nightly, at = settings.nightly, await ledger.jobs.now()
    date = nightly.schedule.until(at).date if nightly.schedule else nightly.date_of(at)
    others = [night for night in await Nights(ledger.redis).open() if night.date != date]
    if others and nightly.overlap == "skip":
        raise CliError(f"the run of {others[0].date} has not ended; see `relabel nightly status`, then try again.")
    night, new = await Nights(ledger.redis).begin(date, asked_by=current_user(), overlap=nightly.overlap)
    if not new and night.state.ended:
        if not (again or night.state is NightState.SKIPPED):
            raise CliError(f"the run of {date} was made already; --again takes what is new in the inbox.")
        await Nights(ledger.redis).reopen(night)
    return await _there(ledger, date)


def _send_on(settings: Settings) -> None:
    from tasks.announce import ask_to_carry_on  # noqa: PLC0415 - loads Celery
    from tasks.celery_app import make_app  # noqa: PLC0415 - as above

    ask_to_carry_on(make_app(settings))


async def _follow(ledger: Ledger, night: Night) -> NightSeen:
    """Wait for the end of the run, or until nothing happens to its jobs any more."""
    while True:
        seen = await look(ledger, await _there(ledger, night.date))
        if seen.night.state.ended or seen.stuck:
            return seen
        await asyncio.sleep(LOOK_EVERY_S)


async def _there(ledger: Ledger, date: str) -> Night:
    night = await Nights(ledger.redis).get(date)
    if night is None:
        raise CliError(f"Redis lost the run of {date}; look at it, then try again.")
    return night


def _exit_code(seen: NightSeen) -> int:
    if not seen.night.state.ended:
        return NOT_FINISHED
    return SOME_ROWS_FAILED if seen.night.rejected or seen.rows_failed else DONE


def _missed(date: str | None) -> list[str]:
    if date is None:
        return []
    return [
        f"The run of {date} was missed: look whether beat and a worker with the inbox run, or `relabel nightly run`."
    ]


def _local(schedule: Schedule, due: Due) -> str:
    moment = datetime.fromtimestamp(due.at, tz=ZoneInfo(schedule.time_zone))
    zone = schedule.time_zone
    return f"{moment:%a %Y-%m-%d %H:%M %Z}" + ("" if moment.tzname() == zone else f" ({zone})")
