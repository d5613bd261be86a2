"""The completions a sandbox holds."""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterator, Mapping

from sandbox.completion import Completion, created_of, is_plausible
from sandbox.metadata import check_metadata, check_pairs


class Store:
    """Stored completions by id; one loop owns it, so nothing is locked."""

    def __init__(self) -> None:
        self._completions: dict[str, Completion] = {}
        self._deleted: set[str] = set()
        self._sorted: list[Completion] | None = []

    def __len__(self) -> int:
        return len(self._completions)

    def __contains__(self, completion_id: str) -> bool:
        return completion_id in self._completions

    def add(self, completion: Completion) -> None:
        """Store a completion, in place of one with the same id."""
        self._sorted = None
        self._deleted.discard(completion.id)
        self._completions[completion.id] = completion

    def load(self, metadata_by_id: Mapping[str, Mapping[str, str]]) -> None:
        """Store many completions at once, readable at once; ApiError names metadata the API would refuse."""
        for metadata in metadata_by_id.values():
            check_pairs(check_metadata(metadata))
        now = int(time.time())
        for completion_id, metadata in metadata_by_id.items():
            self.add(Completion(completion_id, created_of(completion_id, now=now), dict(metadata)))

    def dump(self) -> dict[str, dict[str, str]]:
        """The metadata of every stored completion, by id, visible yet or not."""
        return {completion_id: stored.metadata for completion_id, stored in self._completions.items()}

    def metadata(self, completion_id: str) -> dict[str, str]:
        """The metadata of one stored completion; KeyError where there is none."""
        return self._completions[completion_id].metadata

    def find(self, completion_id: str, *, make_plausible: bool = False) -> Completion | None:
        """The completion if it is visible; with `make_plausible`, one that looks right is made on the spot."""
        completion = self._completions.get(completion_id)
        if completion is not None:
            return completion if completion.visible_at <= time.monotonic() else None
        if not make_plausible or completion_id in self._deleted or not is_plausible(completion_id):
            return None
        completion = Completion(completion_id, created_of(completion_id, now=int(time.time())), {})
        self.add(completion)
        return completion

    def delete(self, completion_id: str) -> None:
        """Forget a completion for good: it does not spring into being again."""
        del self._completions[completion_id]
        self._deleted.add(completion_id)
        self._sorted = None

    def walk(self, *, after: str | None, descending: bool) -> Iterator[Completion]:
        """Visible completions by time of creation, those past `after` only; KeyError if it is not stored."""
        ordered = self._in_order()
        now = time.monotonic()
        if after is None:
            span = range(len(ordered))
        else:
            place = bisect.bisect_left(ordered, _order(self._completions[after]), key=_order)
            span = range(place) if descending else range(place + 1, len(ordered))
        for place in reversed(span) if descending else span:
            if ordered[place].visible_at <= now:
                yield ordered[place]

    def _in_order(self) -> list[Completion]:
        if self._sorted is None:
            self._sorted = sorted(self._completions.values(), key=_order)
        return self._sorted


def _order(completion: Completion) -> tuple[int, str]:
    return completion.created, completion.id
