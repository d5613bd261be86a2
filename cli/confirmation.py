"""Asks before many completions are changed, where there is somebody to ask."""

from __future__ import annotations

import math
import sys
from typing import NamedTuple

import click
from rich.console import Console

from cli.console import echo, shown
from cli.format import at_lines
from cli.session import with_ledger
from config.settings import Settings
from ledger.job import Mode
from ledger.ledger import Ledger
from ledger.service_profile import Behaviour
from producer.check import Checked
from producer.overlap import COMPARE_FOR_S, Overlaps, find_overlaps
from producer.submit import JobRequest, find_existing
from relabel.capacity import least_seconds, pace_hint
from relabel.errors import Declined
from relabel.rate import look_at_rate
from relabel.wording import count_of, duration, per_minute

ASK_ABOVE = 10_000
"""Completions that are changed without a question."""


def confirm(
    rows: int,
    *,
    mode: Mode,
    journal: bool,
    rate_per_minute: float,
    yes: bool,
    settings: Settings,
    behaviour: Behaviour | None,
) -> None:
    """Ask whether to go on; without a terminal, or with --yes, the answer is yes.

    `behaviour` is what a probe found out about the service: one that is slow makes the job longer.

    Raises:
        Declined: the answer was no.

    """
    if yes or rows <= ASK_ABOVE or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    requests = rows * requests_a_row(mode, journal=journal)
    seconds, hint = requests / rate_per_minute * 60, ""
    if behaviour is not None:
        reads = requests > rows
        seconds = max(seconds, least_seconds(settings, behaviour, rows, reads=reads))
        hint = pace_hint(settings, behaviour, rate_per_minute)
    echo(
        f"{count_of(rows, 'completion')} will be changed: up to {count_of(requests, 'request')}, "
        f"about {duration(seconds)} at {per_minute(rate_per_minute)}.",
        err=True,
    )
    if hint:
        echo(hint, err=True)
    if not click.confirm("Go on?", err=True):
        raise Declined("nothing was sent.")


def requests_a_row(mode: Mode, *, journal: bool) -> int:
    """Give the requests that a row takes when it is changed: a read, unless nothing hangs on it, and a write."""
    return 2 if mode is Mode.MERGE or journal else 1


class Outlook(NamedTuple):
    """Where other jobs change the same completions, the shared rate in requests a minute as it is set just now, and
    what a probe found out about the service.
    """

    overlaps: Overlaps
    rate_per_minute: float
    behaviour: Behaviour | None


def confirm_submission(checked: Checked, order: JobRequest, settings: Settings, console: Console, *, yes: bool) -> None:
    """Tell what is to be known before the job is stored, and ask where it is much; nothing where it is there already.

    Raises:
        Declined: the answer was no.

    """

    async def look(ledger: Ledger) -> Outlook | None:
        if not order.again and await find_existing(checked, order, ledger=ledger):
            return None
        overlaps = await find_overlaps(checked, order.target, ledger=ledger)
        rate = (await look_at_rate(settings, ledger)).asked_per_minute
        return Outlook(overlaps, rate, await ledger.behaviours.of(order.target))

    outlook = with_ledger(settings, look)
    if outlook is None:
        return
    tell_overlaps(outlook.overlaps, console)
    rate = min(order.rate_per_minute or math.inf, outlook.rate_per_minute)
    confirm(
        checked.total,
        mode=order.mode,
        journal=order.journal,
        rate_per_minute=rate,
        yes=yes,
        settings=settings,
        behaviour=outlook.behaviour,
    )


def tell_overlaps(overlaps: Overlaps, console: Console) -> None:
    """Say which jobs change the same completions."""
    for job_id, rows, lines in overlaps.found:
        where = at_lines(lines)
        number = f"{'at least ' * (job_id in overlaps.unread)}{count_of(rows, 'completion')}"
        what = f"Warning: job {job_id}, which has not ended, changes {number} of these, too ({where})"
        console.print(shown(f"{what}; they take turns, in no certain order."), soft_wrap=True)
    if overlaps.unread:
        jobs = ", ".join(overlaps.unread)
        what = f"Not compared with all rows of job {jobs}: they are too many for {COMPARE_FOR_S:.0f} s."
        console.print(shown(what), soft_wrap=True)
