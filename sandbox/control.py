"""The sandbox's own endpoints, under `/_sandbox/`: see what happened, change what will happen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from sandbox.api import Api
from sandbox.errors import ApiError, bad_request, method_not_supported, unknown_url
from sandbox.generate import DAYS, MOST_COMPLETIONS
from sandbox.reply import Reply, json_reply
from sandbox.script import decode_script

PREFIX = "/_sandbox/"
"""Prefix of the paths of this file."""


class Ask(NamedTuple):
    """The query and the body of a request to a control endpoint."""

    query: dict[str, str]
    body: bytes


class Fill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many made-up completions to store, created over the last `days`; another seed makes others."""

    count: Annotated[int, msgspec.Meta(ge=0, le=MOST_COMPLETIONS)]
    seed: int = 0
    days: Annotated[float, msgspec.Meta(ge=0, le=10_000)] = DAYS


class Control:
    """The control endpoints of one API."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._doors: dict[str, dict[str, Callable[[Ask], Reply]]] = {
            "log": {"GET": self._log},
            "stats": {"GET": self._stats},
            "completions": {"GET": self._dump, "PUT": self._load, "POST": self._fill},
            "faults": {"GET": self._faults, "POST": self._add_faults, "DELETE": self._clear_faults},
            "options": {"GET": self._options, "PATCH": self._configure},
        }

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Answer one request to a control endpoint."""
        path, _, query = request.raw_path.partition("?")
        body = await request.read()
        try:
            doors = self._doors.get(path.removeprefix(PREFIX))
            if doors is None:
                raise unknown_url(request.method, path)
            if request.method not in doors:
                raise method_not_supported(tuple(doors))
            reply = doors[request.method](Ask(dict(parse_qsl(query)), body))
        except ApiError as error:
            reply = error.reply()
        except (ValueError, msgspec.MsgspecError) as error:
            reply = bad_request(str(error), code="invalid_value").reply()
        return web.Response(body=reply.body, status=reply.status, content_type=reply.content_type)

    def _log(self, ask: Ask) -> Reply:
        log = self._api.log
        limit = int(ask.query["limit"]) if "limit" in ask.query else None
        entries = log.since(int(ask.query.get("since", "0")), limit)
        following = entries[-1].seq + 1 if entries else log.total
        dropped = log.total - len(log.entries)
        return json_reply({"entries": entries, "next": following, "total": log.total, "dropped": dropped})

    def _stats(self, _ask: Ask) -> Reply:
        running = time.monotonic() - self._api.started
        return json_reply(self._api.log.stats.facts() | {"completions": len(self._api.store), "running_s": running})

    def _dump(self, _ask: Ask) -> Reply:
        return json_reply(self._api.store.dump())

    def _load(self, ask: Ask) -> Reply:
        loaded: dict[str, Any] = msgspec.json.decode(ask.body, type=dict[str, dict[str, str]])
        self._api.store.load(loaded)
        return json_reply({"loaded": len(loaded)})

    def _fill(self, ask: Ask) -> Reply:
        filled = msgspec.json.decode(ask.body, type=Fill)
        self._api.store.fill(filled.count, seed=filled.seed, days=filled.days)
        return json_reply({"filled": filled.count})

    def _faults(self, _ask: Ask) -> Reply:
        return json_reply(self._api.faults.facts())

    def _add_faults(self, ask: Ask) -> Reply:
        self._api.faults.add(decode_script(ask.body), time.monotonic())
        return json_reply(self._api.faults.facts())

    def _clear_faults(self, _ask: Ask) -> Reply:
        self._api.faults.clear()
        return json_reply(self._api.faults.facts())

    def _options(self, _ask: Ask) -> Reply:
        return json_reply(self._api.options.live())

    def _configure(self, ask: Ask) -> Reply:
        self._api.configure(msgspec.json.decode(ask.body, type=dict[str, Any]))
        return json_reply(self._api.options.live())
