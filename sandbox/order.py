"""The order in which completions are listed: by the second of creation, and within one by nothing that ids show."""

from __future__ import annotations

import bisect
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from sandbox.completion import Completion

_SORT_FROM = 500
"""New completions from which sorting all is quicker than placing each."""


class Place(NamedTuple):
    """Where a completion is listed. In a second, order and ids are unrelated (contract section 0, "Paging")."""

    created: int
    drawn: int
    id: str


def place_of(completion: Completion) -> Place:
    """Return where the completion is listed."""
    return Place(completion.created, zlib.crc32(completion.id.encode("utf-8", "surrogatepass")), completion.id)


class Ordered:
    """Completions in the order of the list; adding one to a million costs what placing it does."""

    def __init__(self) -> None:
        self._placed: list[Completion] = []
        self._new: list[Completion] = []

    def add(self, completion: Completion) -> None:
        """Add a completion that is not there."""
        self._new.append(completion)

    def remove(self, completion: Completion) -> None:
        """Remove a completion that is there."""
        self._settle()
        del self._placed[bisect.bisect_left(self._placed, place_of(completion), key=place_of)]

    def walk(self, after: Place | None, *, descending: bool) -> Iterator[Completion]:
        """Yield the completions past a place, which need not be there; all of them where it is None."""
        self._settle()
        placed = self._placed
        if after is None:
            span = range(len(placed))
        elif descending:
            span = range(bisect.bisect_left(placed, after, key=place_of))
        else:
            span = range(bisect.bisect_right(placed, after, key=place_of), len(placed))
        for number in reversed(span) if descending else span:
            yield placed[number]

    def _settle(self) -> None:
        new, self._new = self._new, []
        if len(new) >= _SORT_FROM:
            self._placed += new
            self._placed.sort(key=place_of)
            return
        for completion in new:
            bisect.insort(self._placed, completion, key=place_of)
