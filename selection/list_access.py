"""Opens the list of completions for a selection, and tells why it cannot be read."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from completions.errors import Refusal, StopJob
from config.checks import base_url_hint
from config.settings import Settings
from ledger.ledger import Ledger
from ratelimit.shared_rate import shared_limit
from selection.selection import Selection

if TYPE_CHECKING:
    from completions.list_place import Cursor
    from completions.listing import ListReader


@asynccontextmanager
async def open_list_of(
    selection: Selection,
    settings: Settings,
    ledger: Ledger,
    *,
    cursor: Cursor | None,
    on_wait: Callable[[Refusal], None],
    away_s: float,
) -> AsyncIterator[ListReader]:
    """Open the list at a cursor for as long as the block runs.

    `on_wait` is told of each refusal that is waited for, `away_s` how long Redis may be away or full.
    """
    from completions.client import open_api  # noqa: PLC0415 - loads an HTTP client
    from completions.listing import open_list  # noqa: PLC0415 - as above
    from completions.target import read_target  # noqa: PLC0415 - as above
    from config.api_key import read_api_key  # noqa: PLC0415 - as above

    filters, target = selection.filters, await read_target(settings)
    async with (
        open_api(target, in_flight=1, read_key=lambda: read_api_key(settings)) as api,
        open_list(
            ledger,
            api,
            shared_limit(settings, target.secret),
            filters.query,
            name=f"select-{secrets.token_hex(6)}",
            cursor=cursor,
            since=filters.since,
            until=filters.until,
            on_wait=on_wait,
            away_s=away_s,
        ) as reader,
    ):
        yield reader


def why_unreadable(refusal: Refusal, settings: Settings) -> str:
    """Return why the list cannot be read, and what to do."""
    hint = ""
    if refusal.status in {401, 403}:
        hint = "; check OPENAI_API_KEY"
    elif not isinstance(refusal, StopJob) and not refusal.status:
        hint = f"; check OPENAI_BASE_URL{base_url_hint(settings.openai_base_url)}"
    elif refusal.status == 404:
        hint = base_url_hint(settings.openai_base_url)
    return f"the list of completions cannot be read: {said(refusal)}{hint}"


def said(refusal: Refusal) -> str:
    """Return what the API refused with, in words."""
    message, status = refusal.message.rstrip("."), str(refusal.status)
    return message if not refusal.status or status in message else f"{message} ({status})"
