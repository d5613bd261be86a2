"""The API's refusals, shaped as it shapes them. Source of every text and code: contract section 3."""

from __future__ import annotations

import math

from sandbox.reply import Reply, json_reply

INVALID_REQUEST = "invalid_request_error"
"""The `type` of every error that is the caller's fault."""


class ApiError(Exception):
    """A request that is answered with an error body."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None,
        param: str | None = None,
        kind: str = INVALID_REQUEST,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.kind = kind
        self.headers = headers

    def reply(self) -> Reply:
        """The answer that carries this error."""
        fields = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return json_reply({"error": fields}, self.status)._replace(headers=self.headers, code=self.code)


def bad_request(message: str, *, code: str | None, param: str | None = None) -> ApiError:
    """A 400 for the body or the query."""
    return ApiError(400, message, code=code, param=param)


def completion_not_found(completion_id: str) -> ApiError:
    """The 404 of an id that is not stored, deleted, or not visible yet."""
    return ApiError(404, f"Completion {completion_id} not found", code="not_found", param="completion_id")


def unknown_url(method: str, path: str) -> ApiError:
    """The 404 of a path the API does not have."""
    return ApiError(404, f"Invalid URL ({method} {path})", code=None)


def method_not_supported(allowed: tuple[str, ...]) -> ApiError:
    """The 405 of a path that exists for other methods only."""
    names = allowed[0] if len(allowed) == 1 else f"{', '.join(allowed[:-1])} and {allowed[-1]}"
    message = f"Only {names} requests are accepted."
    return ApiError(405, message, code="method_not_supported", headers={"Allow": ", ".join(allowed)})


def missing_key() -> ApiError:
    """The 401 of a request without a key."""
    message = "You didn't provide an API key. Provide it in an Authorization header using Bearer auth."
    return ApiError(401, message, code=None)


def wrong_key(key: str) -> ApiError:
    """The 401 of a key that is not accepted; like the API it repeats the key masked."""
    masked = f"{key[:3]}{'*' * 8}{key[-4:]}" if len(key) >= 16 else "*" * 8
    return ApiError(401, f"Incorrect API key provided: {masked}.", code="invalid_api_key")


def rate_limited(limit: float | None, wait_s: float, *, retry_after: bool) -> ApiError:
    """The 429 of too many requests; `Retry-After` is a whole number of seconds, at least 1."""
    stated = "" if limit is None else f" Limit: {limit:g} / s."
    wait_ms = math.ceil(wait_s * 1000)
    return ApiError(
        429,
        f"Rate limit reached for requests.{stated} Please try again in {wait_ms}ms.",
        code="rate_limit_exceeded",
        kind="requests",
        headers={"Retry-After": str(max(1, math.ceil(wait_s)))} if retry_after else None,
    )


def quota_exceeded() -> ApiError:
    """The 429 that waiting does not cure."""
    message = "You exceeded your current quota, please check your plan and billing details."
    return ApiError(429, message, code="insufficient_quota", kind="insufficient_quota")


def server_error() -> ApiError:
    """The recorded 500."""
    message = "The server had an error while processing your request. Sorry about that!"
    return ApiError(500, message, code=None, kind="server_error")
