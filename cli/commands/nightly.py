"""`relabel nightly`: the run that takes the files of the inbox each night."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import click

from cli.console import echo, echo_indented
from cli.exit_codes import DONE, NOT_FINISHED, SOME_ROWS_FAILED
from cli.nightly_view import show_run
from cli.output import print_facts
from cli.session import in_session, pass_settings
from config.schedule import Due, Schedule
from config.settings import Settings
from ledger.clock import utc_time
from relabel.nightly import (
    NO_SCHEDULE,
    START_BEAT,
    NightlyStatus,
    begin_run,
    follow_run,
    next_runs,
    nightly_facts,
    nightly_status,
    required_schedule,
)
from relabel.nightly_run import NightlyRun, run_facts
from relabel.session import Session, require_workers
from relabel.worker_state import read_idle


@click.group("nightly")
def nightly_command() -> None:
    """Apply the files of an inbox every night.

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
    schedule, due = required_schedule(settings), next_runs(settings, number)
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

    Shows its files and jobs, and other runs that have not ended. Of many files those that went well are summed up, and
    the others are shown. Ends with 1 where a night was missed, skipped or
    lost, or needs attention, and says why.

    \b
    Example:
      relabel nightly status
    """
    status = in_session(settings, nightly_status)
    if as_json:
        print_facts(nightly_facts(settings, status))
    else:
        _show_status(settings.nightly.schedule, status)
    return DONE if status.well else SOME_ROWS_FAILED


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

    async def run(session: Session) -> NightlyRun:
        begun = await begin_run(session, again=again)
        if idle := await read_idle(session.ledger):
            echo(f"The run waits, as {idle}: see `relabel health`; one worker needs RELABEL_NIGHTLY__INBOX.", err=True)
        return await follow_run(session.ledger, begun.night.date) if wait else begun

    seen = in_session(settings, run)
    if as_json:
        print_facts(run_facts(seen))
    else:
        show_run(seen)
    return _exit_code(seen) if wait else DONE


def _show_status(schedule: Schedule | None, status: NightlyStatus) -> None:
    if status.missed:
        what = "check that beat and a worker with the inbox run, or `relabel nightly run`"
        echo_indented(f"The run of {status.missed} was missed: {what}.", style="red")
    runs = [each for each in (*status.still_open, status.last) if each]
    for each in runs:
        show_run(each)
    if not runs:
        echo("No run was made yet.")
    due = f"Next: {_local(schedule, status.due)}" if schedule and status.due else f"Next: {NO_SCHEDULE}."
    echo_indented(due)
    if status.beat_fault:
        echo_indented(f"Warning: {status.beat_fault}; {START_BEAT}.", style="yellow")


def _exit_code(seen: NightlyRun) -> int:
    if not seen.night.state.ended or seen.night.held:
        return NOT_FINISHED
    return SOME_ROWS_FAILED if seen.night.rejected or seen.rows_failed else DONE


def _local(schedule: Schedule, due: Due) -> str:
    moment = datetime.fromtimestamp(due.at, tz=ZoneInfo(schedule.time_zone))
    zone = schedule.time_zone
    return f"{moment:%a %Y-%m-%d %H:%M %Z}" + ("" if moment.tzname() == zone else f" ({zone})")
