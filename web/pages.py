"""Lists, page by page: as the API of stored completions has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import JSONResponse

After = Annotated[str, Query(max_length=100, description="Begin behind this: `last_id` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=100, description="Entries of the page at most.")]
RowLimit = Annotated[int, Query(ge=1, le=1000, description="Rows of the page at most.")]


def page(data: Sequence[dict[str, Any]], *, key: str = "id", has_more: bool, last: str | None = None) -> JSONResponse:
    """Return a page; `key` is the id of an entry, `last` behind what the next page begins where it is no entry."""
    ids = [str(each[key]) for each in data]
    return JSONResponse(
        {
            "object": "list",
            "data": list(data),
            "first_id": ids[0] if ids else None,
            "last_id": last or (ids[-1] if ids else None),
            "has_more": has_more,
        }
    )
