"""Decides whether a 404 means a missing completion or a wrong URL, or leaves that unclear."""

from __future__ import annotations

import enum
import re

from completions.age import KEPT_DAYS, created_at

LEAST_CHARS = 8
"""A shorter id, or one without a digit, may be an ordinary word of the message."""

_NO_ROUTE = re.compile(
    r"invalid url|unknown[ _](request )?url|unrecognized request url|cannot (get|post)\b|\bno (such )?route"
)
_LAST_SEGMENT = re.compile(r"(chat/completions/)[^\s?)\"'<>]+")


class Missing(enum.Enum):
    """What a 404 says is missing."""

    COMPLETION = "completion"
    ROUTE = "route"
    UNCLEAR = "unclear"


def what_is_missing(body: bytes, *, text: str, code: str, param: str, completion_id: str) -> Missing:
    """Return what a 404 with this body means for the request about this completion.

    `text`, `code` and `param` are those of the error, '' where it has none. An id that is only repeated as a part of
    the URL proves nothing, nor does the code `not_found` alone: a server without the route says that, too.
    """
    if body.lstrip()[:1] == b"<" or _NO_ROUTE.search(f"{code} {text}".lower()):
        return Missing.ROUTE
    if param == "completion_id" or _names(text, completion_id):
        return Missing.COMPLETION
    return Missing.UNCLEAR


def without_id(text: str, completion_id: str) -> str:
    """Return the text of an error without the completion it names, for messages that go to other people."""
    text = _LAST_SEGMENT.sub(r"\1[id]", text)
    return re.sub(_bounded(completion_id), "[id]", text) if completion_id else text


def _names(text: str, completion_id: str) -> bool:
    if len(completion_id) < LEAST_CHARS or not re.search(r"\d", completion_id):
        return False
    outside = " ".join(word for word in text.split() if "/" not in word)
    return re.search(_bounded(completion_id), outside) is not None


def _bounded(completion_id: str) -> str:
    return rf"(?<![\w-]){re.escape(completion_id)}(?![\w-])"


def missing_hint(completion_id: str, now: float) -> str:
    """Return a hint on a completion that was not found, from the age of its id; '' where the age explains nothing."""
    created = created_at(completion_id)
    if created is None or created > now:
        return ""
    days = (now - created) / 86_400
    if days > KEPT_DAYS:
        return f" (made {days:.0f} days ago by its id; completions are kept {KEPT_DAYS} days)"
    if now - created < 60:
        return " (made less than a minute ago by its id; it may not be visible yet)"
    return ""
