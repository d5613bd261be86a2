"""Performs each fault, before or after the request is applied."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from sandbox.errors import quota_exceeded, rate_limited, server_error, wrong_key
from sandbox.faults import Fault
from sandbox.options import SandboxOptions
from sandbox.reply import Reply
from sandbox.routes import Call
from sandbox.script import Answer, FaultKind

_HTML = b"<html>\r\n<head><title>%s</title></head>\r\n<body><center><h1>%s</h1></center></body>\r\n</html>\r\n"
_OTHER_ID = "chatcmpl-00000AnotherCompletionEntirely"
_LOOK_EVERY_S = 0.05


class Unanswered(Exception):
    """The request gets no answer: its connection is reset, or held until the client goes."""

    def __init__(self, *, hang: bool) -> None:
        super().__init__()
        self.hang = hang


async def before(fault: Fault, call: Call, options: SandboxOptions) -> Reply | None:
    """Strike before the request is carried out; None lets it go on."""
    if fault.kind in (FaultKind.RESET_BEFORE, FaultKind.HANG):
        raise Unanswered(hang=fault.kind is FaultKind.HANG)
    if fault.kind is FaultKind.SLOW:
        await asyncio.sleep(_seconds(fault, options))
    return _instead(fault, call, options)


async def after(fault: Fault, reply: Reply, options: SandboxOptions) -> Reply:
    """Strike after the request was carried out, and spoil its reply."""
    if fault.kind in (FaultKind.RESET_AFTER, FaultKind.HANG_AFTER):
        raise Unanswered(hang=fault.kind is FaultKind.HANG_AFTER)
    if fault.kind is FaultKind.SLOW_AFTER:
        await asyncio.sleep(_seconds(fault, options))
    return _spoilt(fault, reply)


def reset(request: web.BaseRequest) -> None:
    """Drop the connection with a TCP reset, so that the client cannot take it for an orderly end."""
    transport = request.transport
    if transport is None:
        return
    peer: socket.socket | None = transport.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def until_gone(request: web.BaseRequest) -> None:
    """Hold the connection until the client gives up; aiohttp has no event for that, so it is looked at."""
    while request.transport is not None:  # noqa: ASYNC110
        await asyncio.sleep(_LOOK_EVERY_S)


def _instead(fault: Fault, call: Call, options: SandboxOptions) -> Reply | None:
    reply: Reply | None = None
    match fault.kind:
        case FaultKind.ERROR_500:
            reply = server_error().reply()
        case FaultKind.HTML_502:
            reply = _html(502, b"502 Bad Gateway")
        case FaultKind.REDIRECT:
            # RFC 2606 keeps `.invalid` out of the DNS: who follows the redirect reaches nobody.
            reply = Reply(307, b"", {"Location": f"https://elsewhere.invalid{call.path}"})
        case FaultKind.UNAUTHORIZED:
            reply = wrong_key("").reply()
        case FaultKind.QUOTA:
            reply = quota_exceeded().reply()
        case FaultKind.RATE_LIMITED:
            wait_s = 1.0 if fault.seconds is None else fault.seconds
            reply = rate_limited(options.rate_per_second, wait_s, retry_after=options.retry_after).reply()
    return reply if fault.answer is None else _scripted(fault.answer)


def _spoilt(fault: Fault, reply: Reply) -> Reply:
    match fault.kind:
        case FaultKind.ERROR_500_AFTER:
            reply = server_error().reply()
        case FaultKind.BAD_BODY_HTML:
            reply = _html(200, b"Welcome")
        case FaultKind.BAD_BODY_TRUNCATED:
            reply = reply._replace(body=reply.body[: len(reply.body) // 2])
        case FaultKind.BAD_BODY_OTHER_ID:
            reply = _changed(reply, lambda shown: shown | {"id": _OTHER_ID})
        case FaultKind.NO_METADATA:
            reply = _changed(reply, lambda shown: {name: shown[name] for name in shown if name != "metadata"})
        case FaultKind.NULL_METADATA:
            reply = with_metadata(reply, None)
    return reply


def _changed(reply: Reply, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Reply:
    """The same answer with the completion changed that it shows, or each one of a list."""
    document = msgspec.json.decode(reply.body)
    if document.get("object") == "list":
        changed = document | {"data": [change(shown) for shown in document["data"]]}
    else:
        changed = change(document)
    return reply._replace(body=msgspec.json.encode(changed))


def with_metadata(reply: Reply, metadata: Any) -> Reply:
    """The same answer about other metadata."""
    return _changed(reply, lambda shown: shown | {"metadata": metadata})


def _seconds(fault: Fault, options: SandboxOptions) -> float:
    return options.slow_s if fault.seconds is None else fault.seconds


def _html(status: int, title: bytes) -> Reply:
    return Reply(status, _HTML % (title, title), content_type="text/html")


def _scripted(answer: Answer) -> Reply:
    if isinstance(answer.body, str):
        return Reply(answer.status, answer.body.encode(), answer.headers, "text/html")
    return Reply(answer.status, msgspec.json.encode(answer.body), answer.headers)
