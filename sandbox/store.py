"""The completions a sandbox holds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping

from sandbox.completion import Completion, created_of, is_plausible
from sandbox.generate import DAYS, generate
from sandbox.metadata import check_metadata, check_pairs
from sandbox.order import Ordered, Place, place_of


class Store:
    """Stored completions by id; one loop owns it, so nothing is locked."""

    def __init__(self) -> None:
        self._completions: dict[str, Completion] = {}
        self._deleted: dict[str, Place] = {}
        self._order = Ordered()
        self._leaving: deque[Completion] = deque()

    def __len__(self) -> int:
        return len(self._completions)

    def __contains__(self, completion_id: str) -> bool:
        return completion_id in self._completions

    def add(self, completion: Completion) -> None:
        """Store a completion, in place of one with the same id."""
        if completion.id in self._completions or completion.id in self._deleted:
            self._forget(completion.id)
        self._completions[completion.id] = completion
        self._order.add(completion)

    def fill(self, count: int, *, seed: int = 0, days: float = DAYS) -> None:
        """Store so many made-up completions, readable at once."""
        for completion in generate(count, seed=seed, now=int(time.time()), days=days):
            self.add(completion)

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

    def delete(self, completion_id: str, *, lag_s: float = 0.0) -> None:
        """Forget a completion for good: it does not spring into being again. A list that lags still shows it."""
        completion = self._completions.pop(completion_id)
        self._deleted[completion_id] = place_of(completion)
        if lag_s:
            completion.deleted_at = time.monotonic()
            self._leaving.append(completion)
        else:
            self._order.remove(completion)

    def walk(self, after: Place | None, *, descending: bool, lag_s: float = 0.0) -> Iterator[Completion]:
        """Completions past a place by time of creation, as they were visible `lag_s` ago."""
        moment = time.monotonic() - lag_s
        while self._leaving and (self._leaving[0].deleted_at or 0.0) <= moment:
            self._order.remove(self._leaving.popleft())
        for completion in self._order.walk(after, descending=descending):
            if completion.visible_at <= moment:
                yield completion

    def place(self, completion_id: str) -> Place | None:
        """Where a completion is or was listed; None where it never was."""
        completion = self._completions.get(completion_id)
        return self._deleted.get(completion_id) if completion is None else place_of(completion)

    def _forget(self, completion_id: str) -> None:
        """Take out of the list what is or was stored with this id."""
        completion = self._completions.get(completion_id)
        if completion is not None:
            self._order.remove(completion)
        elif self._deleted.pop(completion_id, None) is not None:
            for left in [left for left in self._leaving if left.id == completion_id]:
                self._leaving.remove(left)
                self._order.remove(left)
