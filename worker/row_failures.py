"""The failures that a row's run finds itself, each with its code and its sentence, and the detail a row ends with."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from completions.errors import Refusal, Retryable, RowFailed
from completions.missing import missing_hint
from ledger.codec import Detail
from ledger.row import MAX_PAIRS

SHOWN_WORDS = 5
"""Keys that a message names or describes; the others are counted."""
DRIFTED_CODE = "changed_since"
"""The code of a row that was left alone because it does not hold what was expected."""
NOT_SHOWN_CODE = "metadata_not_shown"
"""The code of a row whose metadata no answer shows, so that nobody knows what to send or what was stored."""
READ_BACK_CODE = "read_back_differs"
"""The code of a canary's row that was updated, and that does not show that when it is read back."""
STALE_READ_CODE = "stale_read"
"""The code of a row whose reads lagged behind a recorded write for as long as was waited."""


def detail_of(refusal: Refusal, *, completion_id: str, failures: int) -> Detail:
    """Return what is stored of a refusal, after so many failed tries before it."""
    message = refusal.message
    if refusal.status == 404:
        message += missing_hint(completion_id, time.time())
    tries = failures + (not isinstance(refusal, Retryable))
    return Detail(refusal.code, refusal.status, message, refusal.request_id, tries, time.time())


def read_shows_nothing(request_id: str) -> RowFailed:
    """Return the failure of a row that cannot be written without knowing what it holds."""
    what = "the API answered 200, but shows no metadata, so nothing was sent"
    return RowFailed(NOT_SHOWN_CODE, what, status=200, request_id=request_id)


def update_shows_nothing(request_id: str) -> RowFailed:
    """Return the failure of a row whose update nothing confirms."""
    what = "the API answered 200 to the update, but neither its answer nor a read shows metadata"
    return RowFailed(NOT_SHOWN_CODE, what, status=200, request_id=request_id)


def update_not_kept(request_id: str) -> Retryable:
    """Return the failure of an update that a read does not show."""
    what = "the API answered 200, but a read does not show the metadata that was sent"
    return Retryable("reply_differs", what, status=200, request_id=request_id, ambiguous=True)


def value_altered(described: str, request_id: str) -> RowFailed:
    """Return the failure of a row whose values the service changed; `described` holds keys and lengths, no values."""
    what = f"the service stored something else than was sent: {described}"
    return RowFailed("value_altered", what, status=200, request_id=request_id)


def keys_not_removed(keys: Iterable[str], request_id: str) -> RowFailed:
    """Return the failure of a row whose service kept keys that were to be removed."""
    return RowFailed("key_not_removed", f"the service kept {', '.join(keys)}", status=200, request_id=request_id)


def read_back_differs(described: str, request_id: str) -> RowFailed:
    """Return the failure of a canary's row that no read shows as it was written; `described` as in `value_altered`."""
    what = f"the update was answered as sent, but read back the completion shows something else: {described}"
    return RowFailed(READ_BACK_CODE, what, status=200, request_id=request_id)


def too_many_pairs(pairs: int) -> RowFailed:
    """Return the failure of a row whose result the API would refuse."""
    return RowFailed("too_many_pairs", f"the result would have {pairs} pairs; the API allows {MAX_PAIRS}")


def first_few(words: Sequence[str]) -> str:
    """Return the first words, and how many more there are."""
    more = len(words) - SHOWN_WORDS
    return ", ".join(words[:SHOWN_WORDS]) + (f" and {more} more" if more > 0 else "")


def drifted(keys: Iterable[str]) -> RowFailed:
    """Return what is recorded of a row that somebody else changed."""
    return RowFailed(DRIFTED_CODE, f"somebody else changed {', '.join(keys)} since, so the row was left alone")


def confirmed_by_read(what: str) -> RowFailed:
    """Return what is recorded of an updated row that only a read confirmed."""
    return RowFailed("confirmed_by_read", what)


def assumed_written() -> RowFailed:
    """Return what is recorded of a row whose reads lagged until a former write was taken as done."""
    return stale_read("reads kept showing the state before a former write; that write was taken as done")


def stale_read(what: str) -> RowFailed:
    """Return what is recorded of a row whose reads lag behind a recorded write."""
    return RowFailed(STALE_READ_CODE, what, status=200)
