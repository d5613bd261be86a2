"""Streams of events, read as a client reads them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx

SOON_S = 20.0


class Event(NamedTuple):
    """One event of a stream."""

    kind: str
    id: str
    job: dict


class Stream:
    """An open stream, read event by event."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        self._lines = answer.aiter_lines()

    async def next(self) -> Event | None:
        """The next event; None at the end."""
        found: dict[str, str] = {}
        async with asyncio.timeout(SOON_S):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if line and name:
                    found[name] = value
                elif not line and "event" in found:
                    return Event(found["event"], found.get("id", ""), json.loads(found["data"]))
                elif not line:
                    found = {}
        return None

    async def comment(self) -> bool:
        """Whether a comment comes before the stream ends, whatever comes before it."""
        async with asyncio.timeout(2 * SOON_S):
            async for line in self._lines:
                if line.startswith(":"):
                    return True
        return False


@asynccontextmanager
async def stream(client: httpx.AsyncClient, job_id: str, last_id: str = "") -> AsyncIterator[Stream]:
    """Open the stream of a job."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    async with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        yield Stream(answer)
