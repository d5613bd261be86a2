"""A service with one rule for each thing that a probe asks about, and the reply that it gives."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

LIMIT = 16


class OddService:
    """Completions at the root of an address, updated by the rules that are given.

    `merges`: what is left out stays. `null`: `refused`, `removes`, `ignored`, or `clears` the whole map;
    `null_of_unknown`: that of a key that is not there is `ignored` or `stored`. `empty`: a text without characters is
    `kept`, `refused`, or `removes` its key. `counts`: the 16 pairs are those of the `request` or of the `result`.
    `echoes`: the answer to an update repeats what was sent.
    """

    def __init__(self, completions: dict[str, dict[str, str]], **rules: Any) -> None:
        self.completions = {each: dict(metadata) for each, metadata in completions.items()}
        self.rules: dict[str, Any] = {
            "merges": False,
            "null": "refused",
            "null_of_unknown": "ignored",
            "null_map": "removes",
            "empty": "kept",
            "counts": "result",
            "echoes": False,
        } | rules
        self.bodies: list[Any] = []
        self.base_url = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        completion_id = request.path.rpartition("/")[2]
        shown = self.completions[completion_id]
        if request.method == "POST":
            sent = json.loads(await request.read())["metadata"]
            self.bodies.append(sent)
            result = self._result(dict(shown), sent)
            if result is None:
                error = {"message": "Invalid 'metadata'", "type": "invalid_request_error", "code": "invalid"}
                return web.json_response({"error": error}, status=400)
            self.completions[completion_id] = result
            shown = sent if self.rules["echoes"] else result
        return web.json_response({"id": completion_id, "metadata": shown})

    def _result(self, held: dict[str, str], sent: dict[str, str | None] | None) -> dict[str, str] | None:
        """Return what the completion then holds, None where the update is refused."""
        if sent is None:
            return {"removes": {}, "ignored": held}.get(self.rules["null_map"])
        if self.rules["counts"] == "request" and len(sent) > LIMIT:
            return None
        result = dict(held) if self.rules["merges"] else {}
        for key, value in sent.items():
            rule = self.rules["null"] if value is None else self.rules["empty"] if value == "" else "kept"
            if rule == "refused":
                return None
            if rule == "clears":
                return {}
            if rule == "removes" and key not in held and self.rules["null_of_unknown"] == "stored":
                result[key] = ""
            elif rule == "removes":
                result.pop(key, None)
            elif value is not None:
                result[key] = value
            elif key in held:
                result[key] = held[key]
        return result if len(result) <= LIMIT else None


@contextlib.asynccontextmanager
async def serving(service: OddService) -> AsyncIterator[OddService]:
    """Serve on a free loopback port for as long as the block runs."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", service.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    service.base_url = f"http://{host}:{port}"
    try:
        yield service
    finally:
        await runner.cleanup()
