"""The service as a simulation has it: requests leave at once, and are applied when the scheduler says so, or never."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import aiohttp
import httpx
import msgspec

from completions.errors import NotSent

BASE_URL = "http://127.0.0.1:1/v1"
TIMEOUT_S = 10.0
"""Seconds of a request: until then the service may apply it, whatever became of its client."""

Metadata = dict[str, str]


class Sender(NamedTuple):
    """Who sent a request, as the request's own id says it."""

    job_id: str
    shard: int
    owner: str
    row: int

    @classmethod
    def of(cls, name: str) -> Sender:
        """Read the id of a request; ids of simulated jobs have no hyphen."""
        job_id, shard, owner, row, *_ = name.split("-")
        return cls(job_id, int(shard), owner, int(row))


class Request:
    """A request on its way. `left_at` is when its bytes left, None while it waits for a connection."""

    def __init__(self, request: httpx.Request, answer: asyncio.Future[httpx.Response | None]) -> None:
        self.is_write = request.method == "POST"
        self.sender = Sender.of(request.headers["X-Client-Request-Id"])
        target = request.extensions["target"].decode()
        self.completion_id = target.rpartition("/")[2]
        self.body: Metadata = msgspec.json.decode(request.read())["metadata"] if self.is_write else {}
        self.may_leave: Callable[[], bool] = request.extensions.get("may_leave") or (lambda: True)
        self.answer = answer
        self.left_at: float | None = None
        self.is_applied = False

    @property
    def words(self) -> str:
        """The request, for a history."""
        what = f"POST {self.body}" if self.is_write else "GET"
        step = "connect for " if self.left_at is None else ""
        return f"{step}{what} {self.completion_id} of {self.sender.job_id} by {self.sender.owner}"


class Transport(httpx.AsyncBaseTransport):
    """Carries a process's requests to `send`; a write waits for a connection first, as in a pool that is used up."""

    def __init__(self, send: Callable[[Request], None]) -> None:
        self._send = send

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        loop = asyncio.get_running_loop()
        sent = Request(request, loop.create_future())
        async with asyncio.timeout(TIMEOUT_S):
            if sent.is_write:
                self._send(sent)
                await sent.answer
                if not sent.may_leave():
                    raise NotSent
                sent.answer = loop.create_future()
            sent.left_at = loop.time()
            self._send(sent)
            answer = await sent.answer
        if answer is None:
            raise aiohttp.ServerDisconnectedError
        return answer


class Service:
    """The stored completions, and every state that each has had; an update replaces what is there, or merges."""

    def __init__(self, stored: dict[str, Metadata], *, merges: bool) -> None:
        self.states = {completion_id: [dict(metadata)] for completion_id, metadata in stored.items()}
        self._merges = merges

    def held(self, completion_id: str) -> Metadata:
        """What the completion holds now."""
        return self.states[completion_id][-1]

    def apply(self, request: Request) -> httpx.Response:
        """Apply a request and return the answer to it."""
        held = self.held(request.completion_id)
        if request.is_write:
            held = (held if self._merges else {}) | request.body
            self.states[request.completion_id].append(held)
            request.is_applied = True
        return self.show(request.completion_id, held)

    @staticmethod
    def show(completion_id: str, metadata: Metadata) -> httpx.Response:
        """Return an answer that shows this metadata."""
        return httpx.Response(200, content=msgspec.json.encode({"id": completion_id, "metadata": metadata}))
