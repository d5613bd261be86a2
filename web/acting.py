"""The session in which a caller acts."""

from __future__ import annotations

from fastapi import Request

from relabel.session import Session


def session_of(request: Request) -> Session:
    """Return a session in which the caller acts; at an endpoint without `web.callers.needs` there is none."""
    state = request.app.state
    return Session(state.ledger, state.settings, request.state.caller.acts_as, verified=True)
