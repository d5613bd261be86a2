"""Reads the list of completions for a selection, from where it stands, for as long as the API and Redis can be used."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from completions.errors import Refusal, StopJob
from config.checks import base_url_hint
from config.settings import Settings
from ledger.errors import LedgerUnreachable
from ratelimit.shared_rate import shared_limit
from relabel.errors import Unreachable
from relabel.session import Session
from selection.collect import Progress, collect, found_so_far
from selection.selection import Selection
from selection.spool import Spool

if TYPE_CHECKING:
    from completions.listing import ListReader

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
        progress(found_so_far(selection, spool)._replace(waits_for=_said(refusal)))

    try:
        async with _open_reader(session, selection, spool, on_wait, away_s) as reader:
            await collect(reader, selection, spool, progress)
    except Refusal as refusal:
        raise Unreachable(f"{_why(refusal, session.settings)}.{_goes_on(spool)}") from refusal
    except LedgerUnreachable as error:
        raise LedgerUnreachable(f"{error}{_goes_on(spool)}") from error


@asynccontextmanager
async def _open_reader(
    session: Session, selection: Selection, spool: Spool, on_wait: Callable[[Refusal], None], away_s: float
) -> AsyncIterator[ListReader]:
    from completions.client import open_api  # noqa: PLC0415 - loads an HTTP client
    from completions.listing import open_list  # noqa: PLC0415 - as above
    from completions.target import read_target  # noqa: PLC0415 - as above
    from config.api_key import read_api_key  # noqa: PLC0415 - as above

    settings, filters = session.settings, selection.filters
    target = await read_target(settings)
    async with (
        open_api(target, in_flight=1, read_key=lambda: read_api_key(settings)) as api,
        open_list(
            session.ledger,
            api,
            shared_limit(settings, target.secret),
            filters.query,
            name=f"select-{secrets.token_hex(6)}",
            cursor=spool.mark.cursor,
            since=filters.since,
            until=filters.until,
            on_wait=on_wait,
            away_s=away_s,
        ) as reader,
    ):
        yield reader


def _why(refusal: Refusal, settings: Settings) -> str:
    """Return why the list cannot be read, and what to do."""
    hint = ""
    if refusal.status in {401, 403}:
        hint = "; check OPENAI_API_KEY"
    elif not isinstance(refusal, StopJob) and not refusal.status:
        hint = f"; check OPENAI_BASE_URL{base_url_hint(settings.openai_base_url)}"
    elif refusal.status == 404:
        hint = base_url_hint(settings.openai_base_url)
    return f"the list of completions cannot be read: {_said(refusal)}{hint}"


def _said(refusal: Refusal) -> str:
    message, status = refusal.message.rstrip("."), str(refusal.status)
    return message if not refusal.status or status in message else f"{message} ({status})"


def _goes_on(spool: Spool) -> str:
    """Return what becomes of what was found; nothing was, where no page was read."""
    return " The same command goes on where this one ended." if spool.mark.cursor else ""
