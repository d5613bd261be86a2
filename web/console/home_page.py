"""Home: that all is well, or what needs somebody."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from relabel.attention import find_attention
from web.acting import session_of
from web.console.pages import Reader, new_router, render

router = new_router()


@router.get("/")
async def show_home(request: Request, _: Reader) -> Response:
    """Show what needs somebody, with its reason and since when, and what goes on by itself."""
    session = session_of(request)
    found = await find_attention(session, await request.app.state.health.found())
    return render(request, "home.html", found=found, shared_rate=session.settings.rate.per_minute)
