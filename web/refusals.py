"""What is wrong with a request itself, before any use case is called."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from fastapi import HTTPException

Facts = dict[str, Any]


class RefusalKind(NamedTuple):
    """A kind of refusal: its HTTP status, its title, and what to do."""

    status: int
    title: str
    next_step: str


REFUSALS = {
    "invalid_request": RefusalKind(422, "The request cannot be understood", "correct what `errors` names"),
    "unauthorized": RefusalKind(401, "The request has no valid token", "send `Authorization: Bearer rlb_...`"),
    "missing_scope": RefusalKind(403, "The token does not permit this", "use a token with the scope in `scope`"),
    "host_not_allowed": RefusalKind(403, "This name is not allowed", "add it to RELABEL_WEB__ALLOWED_HOSTS"),
    "origin_not_allowed": RefusalKind(403, "Another site may not do this", "call it from its own pages or a program"),
    "not_found": RefusalKind(404, "There is no such page", "see /docs"),
    "method_not_allowed": RefusalKind(405, "This page does not take this method", "see /docs"),
    "too_slow": RefusalKind(408, "The request came too slowly", "send it again, faster"),
    "idempotency_in_progress": RefusalKind(
        409, "The first request with this key is still running", "repeat it after the seconds in Retry-After"
    ),
    "too_large": RefusalKind(413, "The request is too large", "divide it, or have the limit raised"),
    "unsupported_media_type": RefusalKind(415, "This type of content is not taken", "see /docs"),
    "idempotency_key_reused": RefusalKind(
        422, "The key was used with other content", "use a new key for each submission"
    ),
    "too_many_requests": RefusalKind(429, "There were too many requests", "wait for the seconds in Retry-After"),
    "internal": RefusalKind(500, "The server failed", "tell whoever runs it; its log says where"),
    "no_room": RefusalKind(507, "The server has no room", "try again later, or have room made"),
    "busy": RefusalKind(503, "The server is at its limit", "try again after the seconds in Retry-After"),
    "not_ready": RefusalKind(503, "The server is not ready", "see `detail`"),
}
"""By code, which is stable; the codes of the use cases are in `relabel.problems`."""


class Refusal(HTTPException):
    """A request that is refused. `facts` become members of the answer, `retry_after_s` a header."""

    def __init__(self, code: str, detail: str, *, retry_after_s: float = 0.0, **facts: Any) -> None:
        headers = {"Retry-After": str(math.ceil(retry_after_s))} if retry_after_s else {}
        if code == "unauthorized":
            headers["WWW-Authenticate"] = "Bearer"
        super().__init__(REFUSALS[code].status, detail, headers)
        self.code = code
        self.facts: Facts = facts
