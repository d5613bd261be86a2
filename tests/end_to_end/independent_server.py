"""A second, small stand-in for the API, written from the contract alone: it shares no line with `sandbox/`."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import time
from collections.abc import Container
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from aiohttp import web

Metadata = dict[str, str]


class Seen(NamedTuple):
    """One request: when it came (seconds, monotonic), what it was, and the status it got; 0 is a reset."""

    at: float
    method: str
    url: str
    completion_id: str
    headers: dict[str, str]
    status: int


class IndependentServer:
    """Holds completions, replaces their metadata, and allows `per_second` requests with a `burst`.

    `mishaps` maps (method, id) to what befalls the requests for it, one after the other: `500`, `500 after`,
    `reset`, `reset after`, `hang`; "after" means that the change was made. `refused` ids get a 400 for every update,
    which says what `said` holds. A list is refused with the status `may_not_list`, for want of a scope.
    """

    def __init__(
        self,
        completions: dict[str, Metadata],
        *,
        key: str = "sk-independent-1f8e",
        per_second: float | None = None,
        burst: int = 10,
        retry_after: str | None = None,
        latency_s: float = 0.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.completions = {completion_id: dict(metadata) for completion_id, metadata in completions.items()}
        self.key = key
        self.latency_s = latency_s
        self.retry_after = retry_after
        self.mishaps: dict[tuple[str, str], list[str]] = {}
        self.refused: set[str] = set()
        self._tls = tls
        self.request_id_end = ""
        self.said = "Invalid 'metadata'"
        self.locked_out: dict[str, Any] | None = None
        self.may_not_list: int | None = None
        self.log: list[Seen] = []
        self.in_flight = 0
        self._per_second, self._burst = per_second, burst
        self._tokens, self._filled_at = float(burst), time.monotonic()
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self.port = self._runner.addresses[0][1]
        self.address = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def base_url(self) -> str:
        """What goes into OPENAI_BASE_URL."""
        return f"{self.address}/v1"

    def asked(self, method: str | None = None) -> int:
        """Count the requests for single completions."""
        return sum(bool(seen.completion_id) and method in (None, seen.method) for seen in self.log)

    def asked_for(self, ids: Container[str]) -> int:
        """Count the requests for these completions."""
        return sum(seen.completion_id in ids for seen in self.log)

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        arrived = time.monotonic()
        completion_id = unquote(urlsplit(request.raw_path).path.partition("/chat/completions")[2].removeprefix("/"))
        body = await request.read()
        status, answer, headers = await self._decide(request, completion_id, body)
        self.log.append(Seen(arrived, request.method, request.raw_path, completion_id, dict(request.headers), status))
        if status == 0 and request.transport is not None:
            request.transport.abort()
        headers["x-request-id"] = f"req_{next(self._numbers)}{self.request_id_end}"
        return web.Response(
            status=status or 500, body=json.dumps(answer), content_type="application/json", headers=headers
        )

    async def _decide(
        self, request: web.BaseRequest, completion_id: str, body: bytes
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        given = request.headers.get("api-key") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.locked_out is not None or given != self.key:
            return 401, self.locked_out or _error(f"Incorrect API key provided: {given}.", "invalid_api_key"), {}
        if self.may_not_list and not completion_id:
            message = "You have insufficient permissions for this operation. Missing scopes: api.chat.completions.read."
            return self.may_not_list, _error(message, None), {}
        if not self._may_pass():
            wait = {"Retry-After": self.retry_after} if self.retry_after else {}
            return 429, _error("Rate limit reached for requests", "rate_limit_exceeded"), wait
        if completion_id:
            self.in_flight += 1
            await asyncio.sleep(self.latency_s)
            self.in_flight -= 1
        mishap, _, after = self._mishap(request.method, completion_id).partition(" ")
        if mishap == "hang":
            await asyncio.Event().wait()
        if mishap and not after:
            return self._struck(mishap)
        status, answer = self._carry_out(request.method, completion_id, body)
        return self._struck(mishap) if mishap else (status, answer, {})

    def _carry_out(self, method: str, completion_id: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if not completion_id:
            return 200, {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
        if completion_id not in self.completions:
            return 404, _error(f"Completion {completion_id} not found", "not_found", param="completion_id")
        if method == "POST":
            metadata = json.loads(body)["metadata"]
            assert all(isinstance(value, str) for value in metadata.values()), metadata
            if completion_id in self.refused:
                return 400, _error(self.said, "invalid_value", param="metadata")
            self.completions[completion_id] = metadata
        held = self.completions[completion_id]
        return 200, {"id": completion_id, "object": "chat.completion", "model": "m", "metadata": held}

    def _struck(self, mishap: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        return (0, {}, {}) if mishap == "reset" else (int(mishap), _error("The server had an error", None), {})

    def _mishap(self, method: str, completion_id: str) -> str:
        waiting = self.mishaps.get((method, completion_id))
        return waiting.pop(0) if waiting else ""

    def _may_pass(self) -> bool:
        if self._per_second is None:
            return True
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _error(message: str, code: str | None, *, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}
