"""Reads completions ahead, a page of the list for all rows that lie on it, where that takes fewer requests than GETs.

A page can only begin after a completion that is known, so a row that is read by a GET is where the next page begins,
and the end of a page is where another may. How far pages reach is learned from each one. That a completion is not on a
page says nothing of it: its row is read by a GET.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from completions.age import created_at
from completions.client import CompletionsApi
from completions.errors import CursorLost, RateLimited, Refusal, Retryable
from completions.list_page import ListQuery, Page
from ledger.clock import Clocks, Reading
from ledger.row import Metadata, Patch
from ratelimit.breaker import CircuitBreaker
from ratelimit.limiter import RateLimiter
from worker.run_counters import RunCounters
from worker.stale_reads import READ_AGE_S

MOST_SEGMENTS, PAGES_A_SEGMENT = 4, 4
"""Parts of a shard that are read side by side, as each page waits for the one before it, and least pages of each."""
READY_S, MOST_READY = 1.0, 48
"""A page is read before its rows' turn where those that were shown last for less at the rate in force: so many
seconds, and never more rows."""
LEAST_ROWS = 2
"""Rows that a page has to be expected to serve."""
LEAST_PLACES = 50
"""Rows of a run from which pages are tried at all: with fewer, little is saved, and one page may be in vain."""
IMAGE_AGE_S = 0.8 * READ_AGE_S
"""Age at which what a page showed is read again before it is used."""
MOST_TRIES = 50
"""Pages that one row waits for at most."""
OFF_S = 600.0
"""Seconds for which a process reads no pages where they did not pay, or the service has none."""
_ORDER = ListQuery(order="asc")


class PageImage(NamedTuple):
    """What a page showed of a completion, and when the page was asked for."""

    metadata: Metadata
    sent_at: Reading


class PageReach:
    """What pages showed in this process: the seconds between the first and the last completion, None before a page.

    `off_until` is when pages are read again, on the loop's clock.
    """

    def __init__(self) -> None:
        self.span_s: float | None = None
        self.off_until = float("-inf")
        self.first = asyncio.Lock()


class PageCalls(NamedTuple):
    """What a page needs for its request; `name` begins each request's own id."""

    api: CompletionsApi
    limiter: RateLimiter
    breaker: CircuitBreaker
    counters: RunCounters
    clocks: Clocks
    name: str


class Place(NamedTuple):
    """A completion after which a page may begin, and when it was created."""

    created: float
    id: str


class Segment:
    """Rows that are neighbours in time, until each has been read, and where their next page begins.

    `ready` is how many of them a page has shown.
    """

    def __init__(self, places: Sequence[Place]) -> None:
        self.wanted = {place.id: place.created for place in places}
        self.lock = asyncio.Lock()
        self.begin: Place | None = None
        self.ready = 0

    def expected(self, after: Place, span_s: float | None) -> int:
        """Return how many wanted rows a page after this completion serves, if it reaches so far; None: to the end."""
        end = float("inf") if span_s is None else after.created + span_s
        return sum(after.created <= created <= end for each, created in self.wanted.items() if each != after.id)


def segments_of(
    todo: Mapping[int, Patch], reach: PageReach, *, without: Collection[int] = ()
) -> list[list[tuple[Place, int]]]:
    """Return the rows that pages may serve in parts, each by age, with their numbers: the more pages, the more parts.

    Those are left out whose completion shows no age, that a selection saw, and those `without` which it is done.
    """
    places = [
        (Place(created, patch.completion_id), row)
        for row, patch in todo.items()
        if row not in without and patch.seen is None and (created := created_at(patch.completion_id)) is not None
    ]
    places.sort()
    span_s = places[-1][0].created - places[0][0].created if places else 0.0
    pages = span_s / reach.span_s if reach.span_s else 0
    parts = max(1, min(MOST_SEGMENTS, int(pages // PAGES_A_SEGMENT)))
    size = max(1, -(-len(places) // parts))
    return [places[at : at + size] for at in range(0, len(places), size)]


def in_turns(todo: Mapping[int, Patch], segments: Sequence[Sequence[tuple[Place, int]]]) -> list[int]:
    """Return the numbers of the rows in the order in which pages serve them best: one of each segment in turn."""
    turns = itertools.zip_longest(*segments)
    served = {row: None for turn in turns for _, row in filter(None, turn)}
    return list(served | dict.fromkeys(todo))


class ReadAhead:
    """Reads the completions of one shard's run by pages: those of the `segments`, in which neighbours are together.

    `balance` is how many requests pages have saved so far: below 0, no more are read in this run.
    """

    def __init__(self, segments: Iterable[Sequence[tuple[Place, int]]], calls: PageCalls, reach: PageReach) -> None:
        parts = [Segment([place for place, _ in segment]) for segment in segments]
        self._segment_of = {each: segment for segment in parts for each in segment.wanted}
        self._calls = calls
        self._reach = reach
        self._images: dict[str, PageImage] = {}
        self._pages = 0
        self.balance = 0
        self.is_off = len(self._segment_of) < LEAST_PLACES or asyncio.get_running_loop().time() < reach.off_until

    @asynccontextmanager
    async def turn(self, completion_id: str) -> AsyncIterator[PageImage | None]:
        """Yield what a page shows of the completion, None where it is to be read by a GET within the block.

        The GET of a row after which a page is to begin is waited for by the rows that the page serves.

        Raises:
            HandBack: the run ended before there was a slot.

        """
        segment = self._segment_of.get(completion_id)
        if segment is None or self.is_off or completion_id not in segment.wanted:
            yield None
            return
        async with AsyncExitStack() as locks:
            image = self._take(completion_id, segment)
            if image is None:
                image = await self._wait_for(completion_id, segment, locks)
            here = Place(segment.wanted.pop(completion_id), completion_id)
            if image is not None and segment.ready < min(MOST_READY, READY_S * self._calls.limiter.status.rate):
                await self._go_on(segment)
            if image is not None or self.is_off or segment.expected(here, self._reach.span_s) < LEAST_ROWS:
                await locks.aclose()
                yield image
                return
            yield None
            segment.begin = here

    async def _wait_for(self, completion_id: str, segment: Segment, locks: AsyncExitStack) -> PageImage | None:
        if self._reach.span_s is None:
            await locks.enter_async_context(self._reach.first)  # one page in the dark is enough
        await locks.enter_async_context(segment.lock)
        for _ in range(MOST_TRIES):
            begin, created = segment.begin, segment.wanted[completion_id]
            image = self._take(completion_id, segment)
            if image is not None or self.is_off or begin is None or created < begin.created:
                return image
            if segment.expected(begin, self._reach.span_s) < LEAST_ROWS:
                return None
            await self._read_page(segment, begin)
        return None

    async def _go_on(self, segment: Segment) -> None:
        """Read the segment's next page, before its rows' turn, where nobody does."""
        if segment.lock.locked():
            return
        async with segment.lock:
            begin = segment.begin
            if begin and not self.is_off and segment.expected(begin, self._reach.span_s) >= LEAST_ROWS:
                await self._read_page(segment, begin)

    def _take(self, completion_id: str, segment: Segment) -> PageImage | None:
        image = self._images.pop(completion_id, None)
        segment.ready -= image is not None
        if image is not None and self._calls.clocks.age_s(image.sent_at) > IMAGE_AGE_S:
            self._count(-1)
            return None
        return image

    async def _read_page(self, segment: Segment, begin: Place) -> None:
        """Read the page after a completion, and keep what it shows of the rows that wait; off where that fails."""
        calls = self._calls
        await calls.limiter.acquire(write=True)  # behind all writes, it would come once none is left to make
        sent_at = calls.clocks.read()
        calls.counters.requests += 1
        calls.counters.in_flight += 1
        self._pages += 1
        try:
            page = await calls.api.list_page(_ORDER, after=begin.id, request_name=f"{calls.name}-page-{self._pages}")
        except RateLimited as refusal:
            calls.counters.throttled += 1
            await calls.limiter.pause(refusal.retry_after, sent_s_ago=refusal.sent_s_ago)
            return
        except CursorLost:
            segment.begin = None
            self._count(-1)
            return
        except Refusal as refusal:
            self._note_failure(refusal)
            return
        finally:
            calls.counters.in_flight -= 1
        calls.breaker.record(write=False, succeeded=True)
        self._use(page, segment, begin, sent_at)

    def _use(self, page: Page, segment: Segment, begin: Place, sent_at: Reading) -> None:
        shown = {item.id: item.metadata for item in page.items if item.metadata is not None and self._wants(item.id)}
        for each, metadata in shown.items():
            self._segment_of[each].ready += each not in self._images
            self._images[each] = PageImage(metadata, sent_at)
        created = [item.created for item in page.items if item.created is not None]
        segment.begin = None
        if created and page.has_more and page.last_id:
            if created[-1] < begin.created - 1:
                self._stop()  # in no order of time: nobody knows what lies on the next page
            self._reach.span_s = max(0.0, created[-1] - begin.created)
            segment.begin = Place(created[-1], page.last_id)
        elif self._reach.span_s is None:
            self._reach.span_s = 0.0
        self._count(len(shown) - 1)

    def _wants(self, completion_id: str) -> bool:
        segment = self._segment_of.get(completion_id)
        return segment is not None and completion_id in segment.wanted

    def _count(self, saved: int) -> None:
        self.balance += saved
        if self.balance < 0:
            self._stop()

    def _note_failure(self, refusal: Refusal) -> None:
        failing = isinstance(refusal, Retryable) and refusal.endpoint_fails
        self._calls.breaker.record(write=False, succeeded=not failing)
        self._calls.counters.note_error(refusal)
        self._stop()

    def _stop(self) -> None:
        """Read no more pages in this run, and none in the next ones of this process."""
        self.is_off = True
        self._reach.off_until = asyncio.get_running_loop().time() + OFF_S
