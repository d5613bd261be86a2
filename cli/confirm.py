"""Asks before many completions are changed, where there is somebody to ask."""

from __future__ import annotations

import sys

import click

from cli.complaint import Complaint
from cli.console import echo
from cli.exit_codes import INTERRUPTED
from cli.service import least_seconds, pace_hint
from cli.wording import duration, per_minute, some
from config.settings import Settings
from ledger.job import Mode
from ledger.service_profile import Behaviour

ASK_ABOVE = 10_000
"""Completions that are changed without a question."""


class Declined(Complaint):
    """The answer was no."""

    exit_code = INTERRUPTED


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
        f"{some(rows, 'completion')} will be changed: up to {some(requests, 'request')}, "
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
