"""A job as it changes: server-sent events, which a client that lost its connection resumes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response, StreamingResponse

from config.web import Scope
from relabel.jobs import JobSeen, see_job
from web.callers import Caller, CallerHere, SessionHere, Watch, needs
from web.documented import JOB, files
from web.job_endpoints import JobId
from web.job_feeds import Feed, moment_of

router = APIRouter(tags=["jobs"])
COMMENT_EVERY_S = 15.0
RETRY_MS = 2000
"""Time after which a browser comes back."""
UNBUFFERED = {"X-Accel-Buffering": "no"}
"""Lets nginx pass each event on as it comes. Source: ngx_http_proxy_module, "proxy_buffering"."""
ANSWERS = files(
    "The events `state`, `progress` and `end`, each with an id, and `away`.", "text/event-stream", codes=("busy", *JOB)
)
ANSWERS[204] = {"description": "The job has ended, and the client knows: there is nothing to come back for."}


@router.get("/v1/jobs/{job_id}/events", response_class=StreamingResponse, responses=ANSWERS, **needs(Scope.READ))
async def follow_job(
    request: Request,
    session: SessionHere,
    caller: CallerHere,
    job_id: JobId,
    *,
    last_event_id: Annotated[str, Header(alias="Last-Event-ID", max_length=64, description="The last one seen.")] = "",
) -> Response:
    """Stream a job as it changes.

    `state` is the whole job: at first, and whenever its state, reason or children change. `progress` is what
    changes while it runs: rows, requests, waits, pace. `end` is the whole job once all rows have ended; the stream
    ends with it. A client that comes back with the id of the present state gets only what changes from then on, any
    other the whole job. `away` says that Redis does not answer, so that nobody knows more. A comment comes every 15
    seconds. The stream ends where the token is revoked.
    """
    seen = await see_job(session, job_id)
    now = moment_of(seen)
    if now.ended and last_event_id == now.id:
        return Response(status_code=204)
    request.app.state.feeds.require_room(caller.acts_as)
    stream = _Stream(request, caller, seen, last_event_id)
    return StreamingResponse(stream.events(), media_type="text/event-stream", headers=UNBUFFERED)


class _Stream:
    """What one client gets."""

    def __init__(self, request: Request, caller: Caller, seen: JobSeen, last_id: str) -> None:
        self._state = request.app.state
        self._caller = caller
        self._watch = Watch(request.app.state.callers, caller)
        self._seen = seen
        self._last_id = last_id
        self._standing = ""
        self._is_away = False
        self._comment_at = time.monotonic() + COMMENT_EVERY_S

    async def events(self) -> AsyncIterator[str]:
        """Yield events until the job or the server ends, or the client may look no more."""
        yield f"retry: {RETRY_MS}\n\n"
        async with self._state.feeds.follow(self._seen, self._caller.acts_as) as feed:
            while not self._state.stopping.is_set() and feed.error is None:
                following = feed.next
                if event := self._away(feed) or self._event(feed):
                    yield event
                    if feed.current.ended:
                        return
                await self._wait(following)
                if time.monotonic() >= self._comment_at:
                    self._comment_at = time.monotonic() + COMMENT_EVERY_S
                    yield ": still here\n\n"
                if not await self._watch.may_read():
                    return

    def _away(self, feed: Feed) -> str:
        """Return the event that Redis is away, '' where it is there, or the client knows."""
        was_away, self._is_away = self._is_away, feed.away
        if was_away and not feed.away:
            self._last_id = self._standing = ""  # the client has to know that it is back
        return "event: away\ndata: {}\n\n" if feed.away and not was_away else ""

    def _event(self, feed: Feed) -> str:
        """Return the event for how the job stands, '' where the client knows, or nobody does."""
        moment = feed.current
        if feed.away:
            return ""
        if moment.id == self._last_id:
            self._standing = moment.standing
            return ""
        is_new, self._standing = moment.standing != self._standing, moment.standing
        self._last_id = moment.id
        kind = "end" if moment.ended else "state" if is_new else "progress"
        data = moment.progress if kind == "progress" else moment.whole
        return f"event: {kind}\nid: {moment.id}\ndata: {data}\n\n"

    async def _wait(self, following: asyncio.Future[None]) -> None:
        """Wait until the job has changed, or something else is due."""
        due = min(self._comment_at, self._watch.due) - time.monotonic()
        stopping = asyncio.ensure_future(self._state.stopping.wait())
        try:
            await asyncio.wait({following, stopping}, timeout=max(0.0, due), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
