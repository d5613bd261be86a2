"""Decides what an answer other than 200 means: retry, wait, fail the row or pause the job (contract section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from completions.errors import RateLimited, Refusal, Retryable, RowFailed, StopJob
from completions.missing import Missing, what_is_missing, without_id
from completions.retry_after import retry_after
from config.text import CODE_CHARS, MESSAGE_CHARS, REQUEST_ID_CHARS, sanitize

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
"""Codes of a 429 that waiting does not cure (contract section 3)."""

CALLER_BLOCKED_CODES = frozenset({"unsupported_country_region_territory"})
"""Codes of a 403 that holds for every call (contract section 3)."""

_NO_SCOPE = ("missing scopes", "insufficient permissions")

NOT_FOUND_CODE = "not_found"
"""The code of a row whose completion is missing, where the server gives none."""
UNKNOWN_URL_CODE = "unknown_url"
"""The reason code of a job whose URL is wrong."""
_TEXT_BYTES = 8192
"""Bytes of an error text that are searched for an id."""
MAX_ERROR_BYTES = 1 << 16
"""Bytes of an error body that are parsed. A larger one is not this API's, and parsing it would block the event loop."""


class ErrorBody(msgspec.Struct, frozen=True):
    """The API's error as far as it could be read; every part may be missing (contract section 3)."""

    message: str = ""
    type: str = ""
    param: str = ""
    code: str = ""


def classify(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    secret: str = "",
    writes: bool = True,
    completion_id: str = "",
) -> Refusal:
    """Return what an answer with this status and body means for the row and the job (contract section 3).

    `secret` is removed from the server's message. `writes` tells whether the request was an update, which a server
    that failed may have carried out. `completion_id` is the one that the request was about.
    """
    error = read_error(body, secret=secret)
    request_id = sanitize(headers.get("x-request-id", ""), REQUEST_ID_CHARS, secret=secret)
    message = error.message or f"the API answered {status} without an explanation"
    code = error.code or error.type or f"http_{status}"
    if status == 429 and not {error.code, error.type} & QUOTA_CODES:
        return RateLimited(code, message, request_id=request_id, retry_after=retry_after(headers))
    if status in {408, 409} or status >= 500:
        wait = retry_after(headers)
        # a 409 was refused before anything was done; the others may come after the change was made
        ambiguous = writes and status != 409
        return Retryable(code, message, retry_after=wait, ambiguous=ambiguous, status=status, request_id=request_id)
    if status == 404:
        return _not_found(body, error, request_id, secret=secret, completion_id=completion_id)
    if status in {401, 402, 403, 405, 407, 429}:
        return StopJob(code, message, status=status, request_id=request_id)
    if 200 <= status < 400:
        return _unlike_this_api(status, request_id, writes=writes)
    return RowFailed(code, message, status=status, request_id=request_id)


def lacks_permission(refusal: Refusal) -> bool:
    """Return whether the key was accepted and only this call is not permitted, so that others may be.

    Missing scopes come as a 401 (contract section 5, item 13), on Azure with a code; a 403 concerns the call, unless
    the caller as a whole is blocked.
    """
    if refusal.status == 403:
        return refusal.code not in CALLER_BLOCKED_CODES
    text = refusal.message.lower()
    return refusal.status == 401 and (refusal.code == "PermissionDenied" or any(word in text for word in _NO_SCOPE))


def _not_found(body: bytes, error: ErrorBody, request_id: str, *, secret: str, completion_id: str) -> Refusal:
    raw = _parse(body)
    # the whole text: an id may come after the part that is stored, or look like a key
    missing = what_is_missing(
        body,
        text=raw.message[:_TEXT_BYTES] or body[:_TEXT_BYTES].decode(errors="replace"),
        code=raw.code,
        param=raw.param,
        completion_id=completion_id,
    )
    if missing is Missing.COMPLETION:
        message = error.message or "the API answered 404: no such completion"
        code = NOT_FOUND_CODE if error.code.isdigit() else error.code or NOT_FOUND_CODE
        return RowFailed(code, message, status=404, request_id=request_id)
    text = without_id(raw.message[:_TEXT_BYTES], completion_id)
    message = sanitize(text, MESSAGE_CHARS, secret=secret) or "the API answered 404 without an explanation"
    unclear = missing is Missing.UNCLEAR
    return StopJob(UNKNOWN_URL_CODE, message, status=404, request_id=request_id, unclear=unclear)


def _unlike_this_api(status: int, request_id: str, *, writes: bool) -> Refusal:
    if status < 300:
        what = f"the API answered {status}, which it never does for this call"
        return Retryable("bad_response", what, status=status, request_id=request_id, ambiguous=writes)
    reason = f"the API answered with a redirect ({status}), which is not followed; correct OPENAI_BASE_URL"
    return StopJob("redirect", reason, status=status, request_id=request_id)


def read_error(body: bytes, *, secret: str = "") -> ErrorBody:
    """Parse an error body of any shape; parts that cannot be read are empty."""
    raw = _parse(body)
    return ErrorBody(
        message=sanitize(raw.message, MESSAGE_CHARS, secret=secret),
        type=sanitize(raw.type, CODE_CHARS, secret=secret),
        param=sanitize(raw.param, CODE_CHARS, secret=secret),
        code=sanitize(raw.code, CODE_CHARS, secret=secret),
    )


def _parse(body: bytes) -> ErrorBody:
    """Parse the error as it was sent: OpenAI's and Azure's `error`, FastAPI's `detail`, or a bare `message`."""
    if len(body) > MAX_ERROR_BYTES:
        return ErrorBody()
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ErrorBody()
    if not isinstance(answer, dict):
        return ErrorBody()
    inner = next((answer[name] for name in ("error", "detail") if isinstance(answer.get(name), str | dict)), answer)
    if isinstance(inner, str):
        return ErrorBody(message=inner)
    return ErrorBody(*(_text(inner, name) for name in ErrorBody.__struct_fields__))


def _text(error: dict[str, Any], name: str) -> str:
    value = error.get(name)
    return "" if value is None else str(value)
