"""Reads the list of completions for a selection, from where it stands, for as long as the API and Redis can be used."""

from __future__ import annotations

from contextlib import aclosing

from completions.errors import Refusal
from ledger.errors import LedgerUnreachable
from relabel.errors import Unreachable
from relabel.session import Session
from selection.collect import Progress, collect, found_so_far
from selection.list_access import open_list_of, said, why_unreadable
from selection.selection import Selection
from selection.spool import Spool

AWAY_S = 60.0
"""Time that Redis may be away or full: without it there are no slots of the rate, and nothing can be read."""


async def read_list(
    session: Session, selection: Selection, spool: Spool, progress: Progress, *, away_s: float = AWAY_S
) -> None:
    """Read what is left of the list for a selection.

    Raises:
        Unreachable: the API cannot be used.
        LedgerUnreachable: Redis was away or full for so long.
        BadSelection: there is no room for what is found.

    """

    def on_wait(refusal: Refusal) -> None:
        progress(found_so_far(selection, spool)._replace(waits_for=said(refusal)))

    settings, ledger, cursor = session.settings, session.ledger, spool.mark.cursor
    try:
        async with (
            open_list_of(selection, settings, ledger, cursor=cursor, on_wait=on_wait, away_s=away_s) as reader,
            aclosing(collect(reader, selection, spool.mark)) as found,
        ):
            async for taken, mark in found:
                spool.add(taken, mark)
                progress(found_so_far(selection, spool))
    except Refusal as refusal:
        raise Unreachable(f"{why_unreadable(refusal, settings)}.{_goes_on(spool)}") from refusal
    except LedgerUnreachable as error:
        raise LedgerUnreachable(f"{error}{_goes_on(spool)}") from error


def _goes_on(spool: Spool) -> str:
    """Return what becomes of what was found; nothing was, where no page was read."""
    return " The same command goes on where this one ended." if spool.mark.cursor else ""
