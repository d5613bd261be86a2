"""What is told and asked before anything is stored: who else changes the same completions, and how long it takes."""

from __future__ import annotations

import math
from typing import NamedTuple

from rich.console import Console

from cli.confirm import confirm
from cli.console import shown
from cli.door import with_ledger
from cli.wording import at_lines, some
from config.settings import Settings
from ledger.ledger import Ledger
from ledger.service_profile import Behaviour
from producer.check import Checked
from producer.overlap import LOOK_FOR_S, Overlaps, find_overlaps
from producer.submit import Order, find_existing
from ratelimit.shared_rate import look_at_rate


class Outlook(NamedTuple):
    """Where other jobs change the same completions, the shared rate in requests a minute as it is set just now, and
    what a probe found out about the service.
    """

    overlaps: Overlaps
    rate_per_minute: float
    behaviour: Behaviour | None


def ask_first(checked: Checked, order: Order, settings: Settings, console: Console, *, yes: bool) -> None:
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
        number = f"{'at least ' * (job_id in overlaps.unread)}{some(rows, 'completion')}"
        what = f"Warning: job {job_id}, which has not ended, changes {number} of these, too ({where})"
        console.print(shown(f"{what}; they take turns, in no certain order."), soft_wrap=True)
    if overlaps.unread:
        jobs = ", ".join(overlaps.unread)
        what = f"Not compared with all rows of job {jobs}: they are too many for {LOOK_FOR_S:.0f} s."
        console.print(shown(what), soft_wrap=True)
