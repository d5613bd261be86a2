"""Turns an answer that is not a 200 into a decision: again, wait, row, stop (design, "A row's life")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from config.text import CODE_CHARS, MESSAGE_CHARS, REQUEST_ID_CHARS, sanitize
from worker.errors import Again, Refusal, RowFailed, StopJob, Wait
from worker.retry_after import retry_after

QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_hard_limit_reached",
    }
)
"""Codes of a 429 that no waiting mends (contract section 3)."""

SHUT_OUT_CODES = frozenset({"unsupported_country_region_territory"})
"""Codes of a 403 that is for every call (contract section 3)."""

_NO_SCOPE = ("missing scopes", "insufficient permissions")


class ErrorBody(msgspec.Struct, frozen=True):
    """The API's error as far as it could be read; every part may be missing (contract section 3)."""

    message: str = ""
    type: str = ""
    param: str = ""
    code: str = ""


def classify(status: int, headers: Mapping[str, str], body: bytes, *, secret: str = "", writes: bool = True) -> Refusal:
    """Decide what an answer with this status and body means for the row and the job.

    `secret` is cut out of what the server says, should it be quoted there; `writes` tells whether the request was an
    update, which a server that failed may have carried out.
    """
    error = read_error(body, secret=secret)
    request_id = sanitize(headers.get("x-request-id", ""), REQUEST_ID_CHARS, secret=secret)
    message = error.message or f"the API answered {status} without an explanation"
    code = error.code or error.type or f"http_{status}"
    if status == 429:
        if {error.code, error.type} & QUOTA_CODES:
            return StopJob(code, message, status=status, request_id=request_id)
        return Wait(code, message, request_id=request_id, retry_after=retry_after(headers))
    if status in {408, 409} or status >= 500:
        wait = retry_after(headers)
        # a 409 was refused before anything was done; the others may come after the change was made
        ambiguous = writes and status != 409
        return Again(code, message, retry_after=wait, ambiguous=ambiguous, status=status, request_id=request_id)
    if status in {401, 402, 403, 405, 407} or (status == 404 and not _is_missing_row(error)):
        return StopJob(code, message, status=status, request_id=request_id)
    if 200 <= status < 400:
        return _unlike_this_api(status, request_id, writes=writes)
    return RowFailed(code, message, status=status, request_id=request_id)


def lacks_permission(refusal: Refusal) -> bool:
    """Tell whether the key was taken and only this call is not allowed to it, so that others may be.

    Missing scopes come as a 401 (contract section 5, item 13), on Azure with a code; a 403 is for the call, unless the
    whole caller is shut out.
    """
    if refusal.status == 403:
        return refusal.code not in SHUT_OUT_CODES
    told = refusal.message.lower()
    return refusal.status == 401 and (refusal.code == "PermissionDenied" or any(word in told for word in _NO_SCOPE))


def _unlike_this_api(status: int, request_id: str, *, writes: bool) -> Refusal:
    if status < 300:
        what = f"the API answered {status}, which it never does for this call"
        return Again("bad_response", what, status=status, request_id=request_id, ambiguous=writes)
    reason = f"the API answered with a redirect ({status}), which is not followed; correct OPENAI_BASE_URL"
    return StopJob("redirect", reason, status=status, request_id=request_id)


def read_error(body: bytes, *, secret: str = "") -> ErrorBody:
    """Read an error body of whatever shape; what cannot be read is left empty."""
    try:
        error = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ErrorBody()
    inner = error.get("error") if isinstance(error, dict) else None
    if isinstance(inner, str):
        return ErrorBody(message=sanitize(inner, MESSAGE_CHARS, secret=secret))
    if not isinstance(inner, dict):
        return ErrorBody()
    return ErrorBody(
        message=sanitize(_text(inner, "message"), MESSAGE_CHARS, secret=secret),
        type=sanitize(_text(inner, "type"), CODE_CHARS, secret=secret),
        param=sanitize(_text(inner, "param"), CODE_CHARS, secret=secret),
        code=sanitize(_text(inner, "code"), CODE_CHARS, secret=secret),
    )


def _is_missing_row(error: ErrorBody) -> bool:
    # the API's own way to tell a missing completion from a wrong URL (contract section 3)
    return error.code == "not_found" or error.param == "completion_id"


def _text(error: dict[str, Any], name: str) -> str:
    value = error.get(name)
    return "" if value is None else str(value)
