"""Reads the list of completions for a selection, from where it stands, for as long as the API and Redis can be used."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from completions.errors import Refusal
from config.checks import base_url_hint
from config.settings import Settings
from ledger.cancellation import end_tasks
from ledger.connect import AWAY
from ledger.ledger import Ledger
from ratelimit.shared_rate import shared_limit
from relabel.errors import Unreachable
from relabel.session import Session
from relabel.wording import in_words
from selection.collect import Progress, collect
from selection.selection import Selection
from selection.spool import Spool

if TYPE_CHECKING:
    from completions.listing import ListReader

AWAY_S = 60.0
"""Time that Redis may be away: without it there are no slots of the rate, and nothing can be read."""
_PING_EVERY_S = 2.0
_GOES_ON = "The same command goes on where this one ended."


async def read_list(
    session: Session, selection: Selection, spool: Spool, progress: Progress, *, away_s: float = AWAY_S
) -> None:
    """Read what is left of the list for a selection.

    Raises:
        Unreachable: the API cannot be used, or Redis was away for so long.
        BadSelection: there is no room for what is found.

    """
    try:
        async with _open_reader(session, selection, spool) as reader:
            await _while_redis_answers(session.ledger, collect(reader, selection, spool, progress), away_s)
    except Refusal as refusal:
        raise Unreachable(_why(refusal, session.settings)) from refusal


async def _while_redis_answers(ledger: Ledger, work: Coroutine[Any, Any, None], away_s: float) -> None:
    """Do the work; raise Unreachable once Redis was away for so long."""
    working, watching = asyncio.create_task(work), asyncio.create_task(_until_away(ledger, away_s))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise Unreachable(f"Redis has not answered for {in_words(away_s)}. {_GOES_ON}")
    finally:
        await end_tasks((working, watching))


async def _until_away(ledger: Ledger, away_s: float) -> None:
    answered = time.monotonic()
    while time.monotonic() - answered < away_s:
        await asyncio.sleep(min(_PING_EVERY_S, away_s / 2))
        try:
            await ledger.redis.ping()
            answered = time.monotonic()
        except AWAY:
            pass


@asynccontextmanager
async def _open_reader(session: Session, selection: Selection, spool: Spool) -> AsyncIterator[ListReader]:
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
        ) as reader,
    ):
        yield reader


def _why(refusal: Refusal, settings: Settings) -> str:
    """Return why the list cannot be read, and what to do."""
    what = f"the list of completions cannot be read: {refusal.message.rstrip('.')}"
    evidence = f" ({refusal.status})" if refusal.status else ""
    hint = f"; check OPENAI_BASE_URL{base_url_hint(settings.openai_base_url)}" if refusal.status == 404 else ""
    return f"{what}{evidence}{hint}. {_GOES_ON}"
