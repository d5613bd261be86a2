"""A service whose 404s look as those of other servers do: one for a missing completion, one for an unknown route."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from aiohttp import web

Say = Callable[[str, str, str], Any]
"""Makes a body of method, path and completion id: a string is HTML, anything else JSON."""


class Shape(NamedTuple):
    """What the service answers with 404 where the completion is missing, and where the route is."""

    missing: Say
    no_route: Say


def _openai(message: str, **fields: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None} | fields}


def _html(method: str, path: str, _id: str) -> str:
    return f"<!DOCTYPE html>\n<pre>Cannot {method} {path}</pre>"


def _nginx(_method: str, _path: str, _id: str) -> str:
    return "<html><head><title>404 Not Found</title></head><body><hr><center>nginx/1.22.1</center></body></html>"


def _invalid_url(method: str, path: str, _id: str) -> dict[str, Any]:
    return _openai(f"Invalid URL ({method} {path})")


SHAPES = {
    "OpenAI": Shape(
        lambda _method, _path, id_: _openai(f"Completion {id_} not found", param="completion_id", code="not_found"),
        _invalid_url,
    ),
    "OpenAI without code and param": Shape(
        lambda _method, _path, id_: _openai(f"No completion '{id_}' was found."), _invalid_url
    ),
    "FastAPI": Shape(lambda *_: {"detail": "Not Found"}, lambda *_: {"detail": "Not Found"}),
    "FastAPI that names the id": Shape(
        lambda _method, _path, id_: {"detail": f"Chat completion {id_} does not exist"},
        lambda *_: {"detail": "Not Found"},
    ),
    "Express": Shape(lambda *_: {"message": "Not found"}, _html),
    "Express with an error handler": Shape(
        lambda _method, path, _id: {"error": f"Not found: {path}"},
        lambda _method, path, _id: {"error": f"Not found: {path}"},
    ),
    "a gateway": Shape(
        lambda *_: {"error": {"message": "unknown object", "code": 404}},
        lambda *_: {"message": "no Route matched with those values"},
    ),
    "a gateway that has one code for all": Shape(
        lambda *_: {"error": {"message": "Resource not found", "code": "not_found"}},
        lambda *_: {"error": {"message": "Resource not found", "code": "not_found"}},
    ),
    "nginx": Shape(lambda _method, _path, id_: {"error": {"message": f"no such completion: {id_}"}}, _nginx),
    "Azure": Shape(
        lambda *_: {"error": {"code": "404", "message": "Resource not found"}},
        lambda *_: {"error": {"code": "404", "message": "Resource not found"}},
    ),
}


class ShapedService:
    """Completions behind `/v1`, each with its metadata.

    `routes` are the methods that it has a route for; `lists` tells whether it has one for a list of them.
    """

    def __init__(
        self, shape: Shape, *completions: str, routes: tuple[str, ...] = ("GET", "POST"), lists: bool = True
    ) -> None:
        self.completions: dict[str, dict[str, str]] = {each: {} for each in completions}
        self.asked: list[tuple[str, str]] = []
        self._shape = shape
        self._routes = routes
        self._lists = lists
        self.address = ""

    @property
    def base_url(self) -> str:
        """The right base URL."""
        return f"{self.address}/v1"

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        if request.path == "/v1/chat/completions" and self._lists:
            return web.json_response({"object": "list", "data": [], "has_more": False})
        before, _, completion_id = request.path.rpartition("/chat/completions/")
        self.asked.append((request.method, completion_id))
        if before != "/v1" or not completion_id or request.method not in self._routes:
            return self._not_found(self._shape.no_route, request, completion_id)
        if completion_id not in self.completions:
            return self._not_found(self._shape.missing, request, completion_id)
        if request.method == "POST":
            self.completions[completion_id] = json.loads(await request.read())["metadata"]
        return web.json_response({"id": completion_id, "metadata": self.completions[completion_id]})

    def _not_found(self, say: Say, request: web.Request, completion_id: str) -> web.Response:
        said = say(request.method, request.path, completion_id)
        if isinstance(said, str):
            return web.Response(text=said, content_type="text/html", status=404)
        return web.json_response(said, status=404)


@contextlib.asynccontextmanager
async def serving(service: ShapedService) -> AsyncIterator[ShapedService]:
    """Serve on a free loopback port for as long as the block runs."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", service.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    service.address = f"http://{host}:{port}"
    try:
        yield service
    finally:
        await runner.cleanup()
