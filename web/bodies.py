"""Bounds the body of each request: its size, the time between its parts, its time in all, and how it is decoded."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.web import WebSettings
from web.problems import refused
from web.refusals import Refusal

SMALL_BYTES = 1 << 20
"""Bytes of a body that is no upload."""
SMALL_S = 60.0
PART_WITHIN_S = 30.0
"""Time that a client may take for the next part of a body."""
UPLOADS = frozenset({"/v1/jobs", "/v1/plans", "/submit"})
"""Where files are sent to."""
UTF_8 = frozenset({b"utf-8", b"utf8", b"us-ascii"})
GIB = 1 << 30


class _Bound(NamedTuple):
    size: int
    seconds: float
    setting: str

    def too_large(self) -> str:
        """Return the sentence of the refusal."""
        return f"the body has more than {self.size:,} bytes{f' ({self.setting})' if self.setting else ''}."


class BoundedBodies:
    """Refuses a body that is too large, comes too slowly, or is a form in another encoding than UTF-8.

    `part_s` is the time for the next part of one.
    """

    def __init__(self, app: ASGIApp, settings: WebSettings, *, part_s: float = PART_WITHIN_S) -> None:
        self._app = app
        self._part_s = part_s
        self._small = _Bound(SMALL_BYTES, SMALL_S, "")
        self._upload = _Bound(int(settings.upload_gib * GIB), settings.upload_minutes * 60, "RELABEL_WEB__UPLOAD_GIB")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        bound = self._upload if scope["path"] in UPLOADS else self._small
        headers = Headers(scope=scope)
        if not all(map(_is_utf_8_if_form, headers.getlist("content-type"))):
            what = "a form must be in UTF-8; leave the charset of its type out."
            await refused("unsupported_media_type", what)(scope, receive, send)
            return
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > bound.size:
            await refused("too_large", bound.too_large(), limit=bound.setting)(scope, receive, send)
            return
        await self._app(scope, _bounded(receive, bound, self._part_s), send)


def _is_utf_8_if_form(content_type: str) -> bool:
    """Return whether a form of this type is decoded as UTF-8; of other types, nothing is decoded by their charset.

    Forms are decoded by whatever codec their charset names, before anybody is asked for a token; punycode takes the
    square of a field's length, minutes for 1 MiB.
    """
    kind, options = parse_options_header(content_type)
    return kind != b"multipart/form-data" or options.get(b"charset", b"utf-8").lower() in UTF_8


def _bounded(receive: Receive, bound: _Bound, part_s: float) -> Receive:
    size, ended, until = 0, False, time.monotonic() + bound.seconds

    async def receive_part() -> Message:
        nonlocal size, ended
        if ended:  # from now on only the end of the connection comes
            return await receive()
        try:
            async with asyncio.timeout(min(part_s, max(0.0, until - time.monotonic()))):
                message = await receive()
        except TimeoutError:
            limit = f"{part_s:.0f} s for the next part, {bound.seconds:,.0f} s in all"
            raise Refusal("too_slow", f"the body came too slowly: {limit}.") from None
        size += len(message.get("body", b""))
        ended = not message.get("more_body", False)
        if size > bound.size:
            raise Refusal("too_large", bound.too_large(), limit=bound.setting)
        return message

    return receive_part
