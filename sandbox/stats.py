"""Figures drawn from what the sandbox saw."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any, Protocol


class Counted(Protocol):
    """The facts of a request that the statistics use."""

    operation: str | None
    id: str | None
    status: int | None
    fault: str | None
    applied: bool


class Stats:
    """Counts over the whole life of the log, whatever it has dropped."""

    def __init__(self) -> None:
        self.by_status: Counter[str] = Counter()
        self.by_operation: Counter[str] = Counter()
        self.by_fault: Counter[str] = Counter()
        self.applied = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.overlaps = 0
        self.arrivals = Window()
        self.admitted = Window()
        self._ids: Counter[str] = Counter()
        self._first: float | None = None
        self._last = 0.0

    def arrived(self, entry: Counted, now: float) -> None:
        """Count a request in."""
        self._first = now if self._first is None else self._first
        self._last = now
        self.arrivals.add(now)
        self.by_operation[entry.operation or "unknown"] += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        if entry.id is not None:
            self._ids[entry.id] += 1
            self.overlaps += self._ids[entry.id] > 1

    def ended(self, entry: Counted) -> None:
        """Count a request out."""
        self.in_flight -= 1
        self.by_status[str(entry.status or "none")] += 1
        self.applied += entry.applied
        if entry.fault is not None:
            self.by_fault[entry.fault] += 1
        if entry.id is not None:
            self._ids[entry.id] -= 1
            if not self._ids[entry.id]:
                del self._ids[entry.id]

    def facts(self) -> dict[str, Any]:
        """The counts as they are shown; `overlaps` counts requests for an id that was already in flight."""
        span = self._last - (self._first or 0.0)
        total = self.arrivals.total
        return {
            "requests": total,
            "by_status": self.by_status,
            "by_operation": self.by_operation,
            "by_fault": self.by_fault,
            "applied": self.applied,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "overlaps": self.overlaps,
            "requests_per_second": (total - 1) / span if span > 0 else None,
            "max_in_one_second": self.arrivals.most,
            "max_admitted_in_one_second": self.admitted.most,
        }


class Window:
    """The most events any window of one second has held."""

    def __init__(self) -> None:
        self.total = 0
        self.most = 0
        self._times: deque[float] = deque()

    def add(self, now: float) -> None:
        """Count an event at the monotonic time `now`."""
        times = self._times
        times.append(now)
        while times[0] <= now - 1:
            times.popleft()
        self.total += 1
        self.most = max(self.most, len(times))
