"""The way of a request through the sandbox: log, key, limit, fault, operation, answer."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from sandbox.errors import ApiError, missing_key, rate_limited, wrong_key
from sandbox.faults import Fault, Faults
from sandbox.limit import Limit, rate_headers
from sandbox.log import Entry, RequestLog, new_entry
from sandbox.mishap import Unanswered, after, before, reset, until_gone, with_metadata
from sandbox.operations import Operations
from sandbox.options import SandboxOptions
from sandbox.reply import Reply
from sandbox.routes import Call, resolve
from sandbox.script import APPLIED, SHOWN_INSTEAD, FaultKind
from sandbox.store import Store

_decode = msgspec.json.Decoder().decode


class Api:
    """The stored-completions API over one store; its options may be changed between two requests."""

    def __init__(self, options: SandboxOptions, *, store: Store, faults: Faults, log: RequestLog) -> None:
        self.options = options
        self.started = time.monotonic()
        self.store = store
        self.faults = faults
        self.log = log
        self._operations = Operations(store, seed=options.seed)
        self._random = random.Random(options.seed)
        self._limit = _limit(options)

    def configure(self, changes: dict[str, Any]) -> None:
        """Change live options; a new rate starts with a full burst."""
        self.options = self.options.changed(changes)
        if changes.keys() & {"rate_per_second", "burst"}:
            self._limit = _limit(self.options)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Answer one request, or drop or hold its connection where a fault says so."""
        now = time.monotonic()
        call = resolve(request.method, request.raw_path)
        entry = new_entry(
            self.log.total,
            self.started,
            now,
            method=call.method,
            path=call.path,
            operation=call.operation,
            completion_id=call.id,
        )
        entry.client_request_id = request.headers.get("X-Client-Request-Id")
        self.log.begin(entry, now)
        try:
            reply = await self._reply(request, call, entry, now)
            entry.status, entry.code = reply.status, reply.code
            entry.duration_ms = (time.monotonic() - now) * 1000
            return _response(reply, entry)
        except Unanswered as end:
            if end.hang:
                await until_gone(request)
            reset(request)
            return web.Response()
        except (ConnectionError, aiohttp.ClientError):
            return web.Response()
        finally:
            self.log.end(entry)

    async def _reply(self, request: web.BaseRequest, call: Call, entry: Entry, now: float) -> Reply:
        document = _document(await request.read()) if call.method == "POST" else None
        if isinstance(document, dict):
            entry.metadata = document.get("metadata")
        try:
            headers = self._admit(call, request.headers, now)
        except ApiError as error:
            return error.reply()
        fault = self.faults.choose(call.method, call.operation or "", call.id, now)
        if self.options.latency_s or self.options.jitter_s:
            await asyncio.sleep(self.options.latency_s + self.options.jitter_s * self._random.random())
        if fault is None:
            reply = self._operations.perform(call, document, self.options)
            entry.applied = reply.applied
        else:
            reply = await self._strike(fault, call, document, entry)
        return reply if headers is None else reply._replace(headers=headers | (reply.headers or {}))

    def _admit(self, call: Call, headers: Mapping[str, str], now: float) -> dict[str, str] | None:
        """Admit a request and return its rate headers; raises the refusal, in the API's order of checks."""
        key = headers.get("api-key") or headers.get("Authorization", "").removeprefix("Bearer").strip()
        if not key:
            raise missing_key()
        if self.options.api_key is not None and key != self.options.api_key:
            raise wrong_key(key)
        shown = None
        if self._limit is not None:
            verdict = self._limit.take(now)
            shown = rate_headers(self._limit, verdict) if self.options.rate_headers else None
            if not verdict.allowed:
                rate, told = self._limit.rate_per_second, self.options.retry_after
                refusal = rate_limited(rate, verdict.wait_s, retry_after=told)
                refusal.headers = (refusal.headers or {}) | (shown or {})
                raise refusal
        self.log.stats.admitted.add(now)
        if call.refusal is not None:
            raise call.refusal
        return shown

    async def _strike(self, fault: Fault, call: Call, document: Any, entry: Entry) -> Reply:
        entry.fault = fault.kind.value
        if fault.kind not in APPLIED:
            struck = await before(fault, call, self.options)
            if struck is not None:
                return struck
        if fault.kind is FaultKind.CURSOR_DELETED:
            self._operations.delete_cursor(call, self.options)
        if call.operation == "update" and fault.kind in SHOWN_INSTEAD:
            reply = self._show_instead(fault, call, document)
        else:
            reply = self._operations.perform(call, document, self.options)
        entry.applied = reply.applied
        return await after(fault, reply, self.options)

    def _show_instead(self, fault: Fault, call: Call, document: Any) -> Reply:
        """Answer an update with other metadata than what is stored afterwards."""
        earlier = self._operations.perform(call._replace(operation="get"), None, self.options)
        if fault.kind is FaultKind.IGNORED:
            return earlier
        reply = self._operations.perform(call, document, self.options)
        if not reply.applied:
            return reply
        shown = earlier if fault.kind is FaultKind.SHOWS_BEFORE else with_metadata(reply, document["metadata"])
        return shown._replace(applied=True)


def _limit(options: SandboxOptions) -> Limit | None:
    return None if options.rate_per_second is None else Limit(options.rate_per_second, options.burst)


def _document(body: bytes) -> Any:
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _response(reply: Reply, entry: Entry) -> web.Response:
    headers = {
        "Content-Type": reply.content_type,
        "x-request-id": entry.request_id,
        "openai-processing-ms": str(round(entry.duration_ms or 0)),
        "openai-version": "2020-10-01",
    }
    return web.Response(body=reply.body, status=reply.status, headers=headers | (reply.headers or {}))
