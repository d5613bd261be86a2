"""The errors of one request; the class is the decision.

    Refusal
    ├── Retryable    the row is tried again after a backoff, a bounded number of times
    ├── RateLimited  every worker waits; no try is spent
    ├── RowFailed    the row ends as failed
    │   └── CursorLost   a page of the list was to begin after a completion that is gone
    └── StopJob      the job pauses; no row fails
        └── KeyRefused  unless the key, read again, has changed

NotSent, HandBack (ratelimit), ClaimLost, StaleRead and UrlUnclear (worker) are no refusals: the row waits or begins
again.
"""

from __future__ import annotations

from config.text import CODE_CHARS, MESSAGE_CHARS, REQUEST_ID_CHARS, sanitize


class Refusal(Exception):
    """A request that did not succeed, with the evidence: code, HTTP status (0: no answer), message, request id.

    A server's message is sanitized here: one printable line, bounded, without the key.
    """

    def __init__(self, code: str, message: str, *, status: int = 0, request_id: str = "") -> None:
        message = sanitize(message, MESSAGE_CHARS)
        super().__init__(message)
        self.code = sanitize(code, CODE_CHARS)
        self.message = message
        self.status = status
        self.request_id = sanitize(request_id, REQUEST_ID_CHARS)


class Retryable(Refusal):
    """Try again after a backoff. `ambiguous`: the request was sent and may have been carried out.

    `retry_after` is in seconds, None where the server gave none.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 0,
        request_id: str = "",
        retry_after: float | None = None,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(code, message, status=status, request_id=request_id)
        self.retry_after = retry_after
        self.ambiguous = ambiguous

    @property
    def may_still_run(self) -> bool:
        """Whether the request may yet be carried out: nobody answered, or a gateway that waited no longer (504)."""
        return self.ambiguous and self.status in {0, 504}

    @property
    def endpoint_fails(self) -> bool:
        """Whether the endpoint seems to fail, rather than this one row: no answer, a 408, a 5xx, or no real body."""
        return self.status in {0, 408} or self.status >= 500 or self.code == "bad_response"


class RateLimited(Refusal):
    """The rate is exceeded. `retry_after` is in seconds, None where the server gave none.

    `sent_s_ago` is the age of the refused request: one that was in flight when the pause began starts no other.
    """

    def __init__(self, code: str, message: str, *, request_id: str = "", retry_after: float | None = None) -> None:
        super().__init__(code, message, status=429, request_id=request_id)
        self.retry_after = retry_after
        self.sent_s_ago = 0.0


class RowFailed(Refusal):
    """This row can never succeed as it is."""


class CursorLost(RowFailed):
    """The server does not know the completion after which a page of the list was to begin."""


class StopJob(Refusal):
    """No row can succeed until its cause is corrected. `unclear`: a 404 that may also be this one row's."""

    def __init__(
        self, code: str, message: str, *, status: int = 0, request_id: str = "", unclear: bool = False
    ) -> None:
        super().__init__(code, message, status=status, request_id=request_id)
        self.unclear = unclear


class KeyRefused(StopJob):
    """The key was refused. `reading` is which one: how often the key had been read by then."""

    def __init__(self, refused: Refusal, *, reading: int) -> None:
        super().__init__(refused.code, refused.message, status=refused.status, request_id=refused.request_id)
        self.reading = reading


class NotSent(Exception):
    """The request did not leave, as it might have been too late: the row begins its try again."""
