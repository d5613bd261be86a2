"""One answer before it is on the wire."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

_encode = msgspec.json.Encoder().encode


class Reply(NamedTuple):
    """Status, body and extra headers of one answer.

    `applied` says that stored state was changed, `code` is the error's code.
    """

    status: int
    body: bytes
    headers: dict[str, str] | None = None
    content_type: str = "application/json"
    applied: bool = False
    code: str | None = None


def json_reply(value: Any, status: int = 200, *, applied: bool = False) -> Reply:
    """An answer whose body is `value` as JSON."""
    return Reply(status, _encode(value), applied=applied)
