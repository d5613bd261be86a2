"""Follows jobs for those who watch them: one look a second at all of them together, however many watch."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from config.settings import Settings
from ledger.cancellation import end_tasks, is_cancelled
from ledger.connect import AWAY
from ledger.errors import NoSuchJob
from ledger.job import JobState
from ledger.ledger import Ledger
from relabel.jobs import JobSeen, see_jobs
from relabel.session import Session
from web.job_endpoints import job_answer
from web.refusals import Refusal

LOOK_EVERY_S = 1.0
MOST_WATCHERS = 1000
MOST_OF_ONE = 500
"""Streams of one caller: nobody takes those of all others."""
_PROGRESS = (
    "job_id", "state", "rows", "requests", "waits", "rows_per_s", "rate_per_minute", "eta_s", "no_row_ended_since",
    "last_error", "may_have_been_written",
)  # fmt: skip
"""Members of a job that change while it runs; all others are its standing."""


class JobMoment(NamedTuple):
    """A job as it was seen: all of it, and what changes while it runs, as JSON; `standing` is a digest of the rest.

    `id` is the same for the same content, whichever server says it: by it a watcher that comes back goes on.
    """

    id: str
    standing: str
    whole: str
    progress: str
    ended: bool


class Feed:
    """A job that somebody watches. `next` is done once it has changed, or is not known any more while Redis is away."""

    def __init__(self, seen: JobSeen) -> None:
        self._seen = seen
        self.current = moment_of(seen)
        self.error: Exception | None = None
        self.away = False
        self.next: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.watchers = 0

    def publish(self, seen: JobSeen) -> None:
        """Let all watchers know how the job stands, where it has changed or Redis was away."""
        was_away, self.away = self.away, False
        if seen != self._seen:
            before, self._seen, self.current = self.current, seen, moment_of(seen)
            was_away = was_away or self.current != before
        if was_away:
            self._wake()

    def end(self, error: Exception) -> None:
        """Let all watchers know that the job is gone."""
        self.error = error
        self._wake()

    def lose(self) -> None:
        """Let all watchers know that Redis is away."""
        if not self.away:
            self.away = True
            self._wake()

    def _wake(self) -> None:
        done, self.next = self.next, asyncio.get_running_loop().create_future()
        done.set_result(None)


class JobFeeds:
    """The jobs that are watched just now, and the task that looks at them."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._session = Session(ledger, settings, user="")
        self._feeds: dict[str, Feed] = {}
        self._looking: asyncio.Task[None] | None = None
        self.watchers = 0
        """Streams that are open, of all jobs."""
        self._of_each = Counter[str]()

    def require_room(self, who: str) -> None:
        """Raise Refusal where there are as many watchers as there may be, or as many of this caller."""
        if self.watchers >= MOST_WATCHERS:
            raise Refusal("busy", f"{MOST_WATCHERS:,} streams are open.", retry_after_s=30)
        if self._of_each[who] >= MOST_OF_ONE:
            raise Refusal("busy", f"{MOST_OF_ONE:,} streams of yours are open.", retry_after_s=30)

    @asynccontextmanager
    async def follow(self, seen: JobSeen, who: str) -> AsyncIterator[Feed]:
        """Follow a job, which was seen just now, for a caller for as long as the block runs."""
        job_id = seen.job.spec.job_id
        if job_id in self._feeds:
            self._feeds[job_id].publish(seen)
        else:
            self._feeds[job_id] = Feed(seen)
        feed = self._feeds[job_id]
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        self.watchers += 1
        self._of_each[who] += 1
        feed.watchers += 1
        try:
            yield feed
        finally:
            self.watchers -= 1
            self._of_each -= Counter({who: 1})  # drops those that have none
            feed.watchers -= 1
            if not feed.watchers and self._feeds.get(job_id) is feed:
                del self._feeds[job_id]
            if not self.watchers and self._looking is not None:
                looking, self._looking = self._looking, None
                await end_tasks([looking])

    async def _look(self) -> None:
        while not is_cancelled():
            await asyncio.sleep(LOOK_EVERY_S)
            watched = dict(self._feeds)
            try:
                found = await see_jobs(self._session, list(watched))
            except AWAY:  # all know how their job stood, and wait; it goes on when Redis is back
                for feed in watched.values():
                    feed.lose()
                continue
            for (job_id, feed), seen in zip(watched.items(), found, strict=True):
                if seen is None:
                    feed.end(NoSuchJob(job_id))
                else:
                    feed.publish(seen)


def moment_of(seen: JobSeen) -> JobMoment:
    """Return how a job stands, ready to be sent."""
    facts = job_answer(seen)
    changing = {name: facts[name] for name in _PROGRESS}
    standing = _digest({name: value for name, value in facts.items() if name == "state" or name not in changing})
    whole = json.dumps(facts)
    state, pending = seen.job.state, seen.job.counts.pending
    # rows in flight of a cancelled job end after it
    ended = state.ended and (state is not JobState.CANCELLED or not pending)
    return JobMoment(_digest(facts), standing, whole, json.dumps(changing), ended)


def _digest(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
