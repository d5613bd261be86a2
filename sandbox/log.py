"""The requests that the sandbox received, in order of arrival."""

from __future__ import annotations

import itertools
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec

from sandbox.stats import Stats


class Entry(msgspec.Struct, gc=False):
    """One request. `status` stays None while it is unanswered, and for ever if the connection was dropped.

    `time` is Unix time, `started_s` seconds since the sandbox started; `metadata` is what an update or create sent.
    """

    seq: int
    time: float
    started_s: float
    method: str
    path: str
    operation: str | None
    id: str | None
    client_request_id: str | None
    request_id: str
    metadata: Any = None
    status: int | None = None
    code: str | None = None
    fault: str | None = None
    applied: bool = False
    duration_ms: float | None = None


class RequestLog:
    """The last `limit` requests in memory, and all of them in `path` where one is given, in order of their end."""

    def __init__(self, *, limit: int, path: Path | None = None) -> None:
        self.entries: deque[Entry] = deque(maxlen=limit)
        self.total = 0
        self.stats = Stats()
        self._path = path
        self._file: BinaryIO | None = None
        self._encode = msgspec.json.Encoder().encode

    def __enter__(self) -> Self:
        if self._path is not None:
            self._file = self._path.open("ab")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def begin(self, entry: Entry, now: float) -> None:
        """Record a request as it arrives; its number is its place in the order."""
        self.total += 1
        self.entries.append(entry)
        self.stats.arrived(entry, now)

    def end(self, entry: Entry) -> None:
        """Record that a request has ended, answered or not."""
        self.stats.ended(entry)
        if self._file is not None:
            self._file.write(self._encode(entry) + b"\n")
            self._file.flush()

    def since(self, seq: int, limit: int | None = None) -> list[Entry]:
        """Requests from number `seq` on, as far as they are still held."""
        dropped = self.total - len(self.entries)
        first = max(0, seq - dropped)
        return list(itertools.islice(self.entries, first, None if limit is None else first + limit))


def new_entry(
    seq: int, started: float, now: float, *, method: str, path: str, operation: str | None, completion_id: str | None
) -> Entry:
    """A fresh entry for the request that arrives now."""
    return Entry(
        seq=seq,
        time=time.time(),
        started_s=now - started,
        method=method,
        path=path,
        operation=operation,
        id=completion_id,
        client_request_id=None,
        request_id=f"req_sandbox{seq:016x}",
    )
