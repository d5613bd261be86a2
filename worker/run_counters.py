"""Counts what a shard's rows cost and what they are waiting for."""

from __future__ import annotations

from completions.errors import Refusal
from ledger.job import Traffic
from ledger.progress import LastError


class RunCounters:
    """The counts of one shard's run: requests, retries and 429s so far; requests in flight and rows backing off now."""

    def __init__(self) -> None:
        self.requests = 0
        self.retries = 0
        self.throttled = 0
        self.in_flight = 0
        self.backing_off = 0
        self._last_error: LastError | None = None

    def note_error(self, refusal: Refusal) -> None:
        """Remember the last request that did not succeed."""
        self._last_error = LastError(refusal.status, refusal.code, refusal.message)

    def take_error(self) -> LastError | None:
        """Return the last request that did not succeed, once."""
        error, self._last_error = self._last_error, None
        return error

    def traffic(self) -> Traffic:
        """Return the traffic of the run so far."""
        return Traffic(requests=self.requests, retries=self.retries, throttled=self.throttled)
