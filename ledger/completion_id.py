"""The rule for a completion's id: checked when a file is read, and again when a row is taken out of the ledger."""

from __future__ import annotations

import re
import unicodedata

MAX_ID_CHARS = 255
"""Characters in an id. Source: contract section 4."""

_PLAIN_ID = re.compile(r"[!-~]{3,255}").fullmatch  # three, so that `.` and `..` take the careful way
_REFUSED_CATEGORIES = {"Cc": "a control character", "Cs": "half of a surrogate pair"}


def is_plain_id(completion_id: str) -> bool:
    """Return whether an id is surely allowed as it stands; the fast answer, `id_problem` is the full one."""
    return _PLAIN_ID(completion_id) is not None


def id_problem(completion_id: str) -> str | None:
    """Return what is wrong with an id, as `is empty`; None where it may be sent.

    Opaque otherwise: providers' ids differ (contract section 4). `.` and `..` would be taken out of a URL's path.
    """
    if is_plain_id(completion_id):
        return None
    if not completion_id:
        return "is empty"
    if len(completion_id) > MAX_ID_CHARS:
        return f"has {len(completion_id)} characters; {MAX_ID_CHARS} are allowed"
    if completion_id in {".", ".."}:
        return f"is {completion_id!r}, which would name another address"
    for place, char in enumerate(completion_id, start=1):
        kind = "white space" if char.isspace() else _REFUSED_CATEGORIES.get(unicodedata.category(char))
        if kind:
            return f"has {kind} at character {place}"
    return None
