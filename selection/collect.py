"""Reads the list for a selection, page by page, and keeps what it takes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from selection.spool import Mark

if TYPE_CHECKING:
    from completions.listing import ListReader
    from selection.selection import Selection
    from selection.spool import Spool

LEAST_SHARE = 0.02
"""Share of the time span that must have been read before the rest is estimated by it."""


class Found(NamedTuple):
    """How far a selection is: completions read and matched, those left out by reason, requests, seconds.

    `share` is the part of the time span that was read, 0 to 1; None where the span is not known. `at` is when the last
    completion that was read was created, in seconds since the epoch. `doubts` are sentences on what could not be seen
    for sure.
    """

    read: int
    matched: int
    left_out: dict[str, int]
    requests: int
    seconds: float
    at: int | None = None
    share: float | None = None
    doubts: tuple[str, ...] = ()


Progress = Callable[[Found], None]
"""Shows how far a selection is."""


async def collect(reader: ListReader, selection: Selection, spool: Spool, progress: Progress) -> None:
    """Read to the end of the list, or to the limit, from where the spool stands.

    Raises:
        Refusal: the API cannot be used, or a page cannot be read.
        OSError: there is no room for what is found.

    """
    sent, began = spool.mark.requests, time.monotonic() - spool.mark.seconds
    async with aclosing(reader.pages()) as pages:
        async for page in pages:
            mark, left_out = spool.mark, Counter(spool.mark.left_out)
            # a page that shows no metadata proves nothing, and neither does one that shows null (contract section 0)
            items = [item if item.metadata is not None else await reader.confirm(item) for item in page.items]
            taken = selection.take(items, matched=mark.matched, left_out=left_out)
            matched = mark.matched + len(taken)
            complete = page.cursor.ended or selection.is_full(matched)
            seconds = time.monotonic() - began
            spool.add(taken, Mark(page.cursor, matched, sent + reader.requests, seconds, left_out, complete))
            progress(found_so_far(selection, spool))
            if complete:
                return


def found_so_far(selection: Selection, spool: Spool) -> Found:
    """Return how far the selection is by its last mark."""
    mark, cursor = spool.mark, spool.mark.cursor
    counted = Found(0, mark.matched, mark.left_out, mark.requests, mark.seconds)
    if cursor is None:
        return counted
    share = _share(selection, cursor.began, cursor.created, mark.matched)
    doubts = tuple(cursor.doubts.sentences())
    return counted._replace(read=cursor.read, at=cursor.created, share=share, doubts=doubts)


def seconds_left(first: Found, now: Found) -> float | None:
    """Estimate the seconds that the rest of a selection takes, as if completions were spread evenly over the time.

    `first` is how far it was when this process went on with it. Returns None where too little was read to tell.
    """
    if now.share is None:
        return None
    gained = now.share - (first.share or 0.0)
    return (now.seconds - first.seconds) * (1 - now.share) / gained if gained >= LEAST_SHARE else None


def _share(selection: Selection, began: int | None, at: int | None, matched: int) -> float | None:
    filters = selection.filters
    end = filters.since if filters.query.order == "desc" else filters.until
    of_limit = matched / selection.limit if selection.limit else None
    if end is None or began is None or at is None or began == end:
        return of_limit
    of_span = min(1.0, max(0.0, (began - at) / (began - end)))
    return max(of_span, of_limit or 0.0)
