"""A completion: what changed it, when and by which job."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from relabel.history import history
from web.acting import session_of
from web.console.pages import Reader, new_router, render

router = new_router()
SHOWN = 100
"""Entries that a page has: the latest."""


@router.get("/completions")
async def show_completion(request: Request, _: Reader, id: Annotated[str, Query(max_length=1000)] = "") -> Response:  # noqa: A002
    """Show the history of a completion, or ask for its id."""
    completion_id = id.strip()
    found = await history(session_of(request), completion_id) if completion_id else None
    return render(request, "completion.html", found=found, completion_id=completion_id, shown=SHOWN)
