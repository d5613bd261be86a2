"""What the OpenAPI document says of errors."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from pydantic import BaseModel, ConfigDict

from relabel.problems import PROBLEMS
from web.refusals import REFUSALS

ALWAYS = ("invalid_request", "unauthorized", "missing_scope", "host_not_allowed", "too_many_requests")
"""What any request that needs a token may meet."""
_KINDS = {kind.code: (kind.status, kind.title) for kind in PROBLEMS} | {
    code: (kind.status, kind.title) for code, kind in REFUSALS.items()
}


class Problem(BaseModel):
    """An error (RFC 9457). `code` is stable; `detail` says what happened, `next_step` what to do.

    `line` and `column` are the place in the input where there is one. More members are there by code.
    """

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    next_step: str | None
    line: int | None = None
    column: int | str | None = None


def problems_of(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Return what the document says of these errors, and of those that any request may meet."""
    named = codes if codes == ("not_ready",) else (*ALWAYS, "redis_unreachable", "internal", *codes)
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for code in named:
        status, title = _KINDS[code]
        by_status[status].append(f"`{code}`: {title}.")
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": " ".join(said), "content": content} for status, said in sorted(by_status.items())}
