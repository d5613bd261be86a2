"""Judges how old a read is: too old to write from it, or older than a write that is recorded.

Reads may lag behind writes, and others may edit between a read and the write that is made from it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ledger.clock import Clocks, Reading
from ledger.codec import Tries
from ledger.records import Record
from ledger.row import Metadata
from worker import row_failures

MOST_STALE_READS = 12
"""Stale reads after which a row waits no longer, whatever the clocks of the workers show."""


READ_AGE_S = 10.0
"""Age at which a read is made again before a write, as others may have edited meanwhile. It counts from when the read
was sent. Each time that it was too old by the time a slot came, it may be twice as old: a slow rate must not end in
reads alone."""


class StaleRead(Exception):
    """The row begins again after `wait_s` seconds, without a lane, a slot or a claim: its read lags behind a write."""

    def __init__(self, wait_s: float) -> None:
        super().__init__()
        self.wait_s = wait_s


class StaleReads:
    """A row's reads that showed the state before a recorded write: how many, and since when.

    `record` holds the last settled writes to the completion, whichever job made them. For `lag_s` seconds, a read is
    believed to lag behind them.
    """

    def __init__(self, record: Record | None, tried: Tries | None, *, lag_s: float, clocks: Clocks) -> None:
        self._record = record
        self._clocks = clocks
        self._lag_s = lag_s
        self.count, self.since = (tried.stale_reads, tried.stale_since) if tried else (0, 0.0)

    def is_stale(self, metadata: Metadata | None) -> bool:
        """Return whether what was read is the state before a recorded write."""
        return self._record is not None and metadata is not None and self._record.step_shown(metadata) is not None

    def next_wait_s(self) -> float:
        """Count a stale read and return the seconds to wait before the next one; 0 where that was long enough."""
        now = self._clocks.read().wall
        self.since = self.since or now
        left_s = self._lag_s - max(0.0, now - self.since)
        if left_s <= 0 or self.count >= MOST_STALE_READS:
            return 0.0
        wait_s = min(2.0**self.count, left_s)
        self.count += 1
        return wait_s


async def assume_written(
    record: Record, metadata: Metadata, replay: Callable[[Record, Metadata], Awaitable[Metadata | None]]
) -> Metadata:
    """Return what the completion holds where the recorded writes happened that a read does not show.

    Raises:
        RowFailed: one of these writes is no longer known.

    """
    held = await replay(record, metadata)
    if held is None:
        what = "reads keep showing the state before a write of a job that is gone, so nothing was sent"
        raise row_failures.stale_read(what)
    return held


class LastRead:
    """What the completion held when it was last read; `metadata` is None where that is not known, or not any more.

    `is_listed`: a page of the list showed it.
    """

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._sent_at = clocks.read()
        self._max_age_s = READ_AGE_S
        self.metadata: Metadata | None = None
        self.is_listed = False

    def record(self, metadata: Metadata | None, *, sent_at: Reading, is_listed: bool = False) -> None:
        """Record a read, whose age counts from when it was sent."""
        self.metadata, self._sent_at, self.is_listed = metadata, sent_at, is_listed

    @property
    def is_old(self) -> bool:
        """Whether the read has to be made again before a write."""
        return self._clocks.age_s(self._sent_at) > self._max_age_s

    def is_outdated(self) -> bool:
        """Return whether a write that is at hand was made from an old read; the next read may be twice as old."""
        if self.metadata is None or not self.is_old:
            return False
        self._max_age_s *= 2
        return True
