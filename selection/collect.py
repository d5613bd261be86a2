"""Reads the list for a selection, page by page, and tells what it takes and how far it is."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple, Protocol

from completions.age import KEPT_DAYS
from selection.spool import Mark

if TYPE_CHECKING:
    from completions.list_place import Cursor
    from completions.listing import ListReader
    from selection.completion import Completion
    from selection.selection import Selection

LEAST_SHARE = 0.02
"""Share of the time span that must have been read before the rest is estimated by it."""


class Found(NamedTuple):
    """How far a selection is: completions read and matched, those left out by reason, requests, seconds.

    `share` is the part of the time span that was read, 0 to 1; None where the span is not known. `may_be_less`: it is
    the span for which completions are kept, so that the list may end before it does. `at` is when the last completion
    that was read was created, in seconds since the epoch. `doubts` are sentences on what could not be seen for sure.
    `waits_for` is what the API refused a page with that is to be tried again; '' where it answers.
    """

    read: int
    matched: int
    left_out: dict[str, int]
    requests: int
    seconds: float
    at: int | None = None
    share: float | None = None
    may_be_less: bool = False
    doubts: tuple[str, ...] = ()
    waits_for: str = ""


Progress = Callable[[Found], None]
"""Shows how far a selection is."""


class Standing(Protocol):
    """What knows where a selection stands, and when it began, in seconds since the epoch."""

    @property
    def mark(self) -> Mark:
        """Where it stands."""

    @property
    def began(self) -> float:
        """When it began."""


async def collect(
    reader: ListReader, selection: Selection, mark: Mark
) -> AsyncGenerator[tuple[list[Completion], Mark], None]:
    """Read to the end of the list, or to the limit, from a mark; yield what is taken of each page, and the mark behind.

    Raises:
        Refusal: the API cannot be used, or a page cannot be read.

    """
    sent, began = mark.requests, time.monotonic() - mark.seconds
    async with aclosing(reader.pages()) as pages:
        async for page in pages:
            left_out = Counter(mark.left_out)
            # a page that shows no metadata proves nothing, and neither does one that shows null (contract section 0)
            items = [item if item.metadata is not None else await reader.confirm(item) for item in page.items]
            taken = selection.take(items, matched=mark.matched, left_out=left_out)
            matched = mark.matched + len(taken)
            complete = page.cursor.ended or selection.is_full(matched)
            seconds = time.monotonic() - began
            mark = Mark(page.cursor, matched, sent + reader.requests, seconds, left_out, complete)
            yield taken, mark
            if complete:
                return


def found_so_far(selection: Selection, standing: Standing) -> Found:
    """Return how far the selection is by its last mark."""
    mark, cursor = standing.mark, standing.mark.cursor
    counted = Found(0, mark.matched, mark.left_out, mark.requests, mark.seconds)
    if cursor is None:
        return counted
    end, is_known = _end(selection, standing.began)
    return counted._replace(
        read=cursor.read,
        at=cursor.created,
        share=_share(selection, cursor, end, mark.matched),
        may_be_less=not is_known,
        doubts=tuple(cursor.doubts.sentences()),
    )


def seconds_left(first: Found, now: Found) -> float | None:
    """Estimate the seconds that the rest of a selection takes, as if completions were spread evenly over the time.

    `first` is how far it was when this process went on with it. Returns None where too little was read to tell.
    """
    if now.share is None:
        return None
    gained = now.share - (first.share or 0.0)
    return (now.seconds - first.seconds) * (1 - now.share) / gained if gained >= LEAST_SHARE else None


def _end(selection: Selection, now: float) -> tuple[float, bool]:
    """Return the time of creation at which the reading ends, and whether it does so for sure."""
    filters, oldest = selection.filters, now - KEPT_DAYS * 86_400
    bound = filters.since if filters.query.order == "desc" else filters.until
    is_known = bound is not None and bound > oldest
    return (bound, True) if is_known and bound is not None else (oldest, False)


def _share(selection: Selection, cursor: Cursor, end: float, matched: int) -> float | None:
    began, at = cursor.began, cursor.created
    of_limit = matched / selection.limit if selection.limit else None
    if began is None or at is None or not (min(began, end) <= at <= max(began, end)) or began == end:
        return of_limit
    return max((began - at) / (began - end), of_limit or 0.0)
