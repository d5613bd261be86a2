"""The query of the two lists, checked. Source: contract section 1."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qsl

from sandbox.errors import bad_request

MAX_LIMIT = 100
"""The most a page holds; 100 was seen to work, more is not known to."""
DEFAULT_LIMIT = 20
"""Default size of a page."""


class Query(NamedTuple):
    """One page asked for; `order` is None where nothing was said."""

    after: str | None
    limit: int
    order: str | None
    model: str | None
    metadata: dict[str, str]


def read_query(query: str) -> Query:
    """The page a query string asks for, or the 400 that says what is wrong with it."""
    values = dict(parse_qsl(query, keep_blank_values=True))
    order = values.get("order")
    if order not in (None, "asc", "desc"):
        message = f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'."
        raise bad_request(message, code="invalid_value", param="order")
    wanted = {
        key[len("metadata[") : -1]: value
        for key, value in values.items()
        if key.startswith("metadata[") and key.endswith("]")
    }
    return Query(values.get("after"), _limit(values.get("limit")), order, values.get("model"), wanted)


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    try:
        limit = int(text)
    except ValueError:
        message = f"Invalid type for 'limit': expected an integer, but got '{text}' instead."
        raise bad_request(message, code="invalid_type", param="limit") from None
    if limit > MAX_LIMIT:
        message = f"Invalid 'limit': integer above maximum value. Expected a value <= {MAX_LIMIT}, but got {limit}."
        raise bad_request(message, code="integer_above_max_value", param="limit")
    if limit < 1:
        message = f"Invalid 'limit': integer below minimum value. Expected a value >= 1, but got {limit}."
        raise bad_request(message, code="integer_below_min_value", param="limit")
    return limit
