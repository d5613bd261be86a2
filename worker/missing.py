"""Reads from a 404 whether the completion is missing or the URL is wrong, and whether that can be told at all."""

from __future__ import annotations

import enum
import re

LEAST_CHARS = 8
"""A shorter id, or one without a digit, may be a word of the message that names nothing."""

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
    the URL proves nothing: a server without the route does that, too.
    """
    if body.lstrip()[:1] == b"<" or _NO_ROUTE.search(f"{code} {text}".lower()):
        return Missing.ROUTE
    if code == "not_found" or param == "completion_id" or _names(text, completion_id):
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
