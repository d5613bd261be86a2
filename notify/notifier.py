"""Delivers an event for each job that ended, paused by itself or is held to the webhook, at least once."""

from __future__ import annotations

import asyncio
import logging
import random

from ledger.ledger import Ledger
from notify.events import JobEvents
from notify.outbox import Notice, Outbox
from notify.payload import body_of, notice_of
from notify.webhook import Undelivered, Webhook

AT_ONCE = 4
"""Notifications that are sent at the same time."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 3600.0
"""Seconds between two tries: four times as long after each, up to an hour."""
PROBE_EVERY_S = 60.0
"""Longest time without a try while something waits: the first to arrive lets all others be sent."""
GIVE_UP_S = 86_400.0
"""Seconds after which an undelivered notification is dropped."""

log = logging.getLogger(__name__)


class Notifier:
    """Posts events to the outbox and delivers what is due, one worker at a time."""

    def __init__(self, ledger: Ledger, webhook: Webhook) -> None:
        self._ledger = ledger
        self._webhook = webhook
        self._events = JobEvents(ledger.redis, ledger.jobs)
        self._outbox = Outbox(ledger.redis)
        self._lock = self._outbox.lock()
        self._tried_at = 0.0

    async def step(self) -> None:
        """Post new events to the outbox and deliver what is due, unless another worker does."""
        if not await self._lock.take():
            return
        now = await self._ledger.jobs.now()
        for event in await self._events.pending():
            await self._outbox.post(notice_of(event, now))
            await self._events.acknowledge(event)
        due = await self._outbox.due(now, most=AT_ONCE) or await self._probe(now)
        if due:
            self._tried_at = now
        if any(await asyncio.gather(*(self._deliver(notice, now) for notice in due))):
            await self._outbox.hurry(now)

    async def _probe(self, now: float) -> list[Notice]:
        """Return the notification to find out with whether the receiver is back, in a list."""
        return await self._outbox.next() if now - self._tried_at >= PROBE_EVERY_S else []

    async def end(self) -> None:
        """Deliver what is due a last time, and release the lock to other workers."""
        await self.step()
        await self._lock.release()

    async def _deliver(self, notice: Notice, now: float) -> bool:
        """Send a notification; return whether it arrived."""
        try:
            await self._webhook.send(notice.delivery_id, body_of(notice))
        except Undelivered as why:
            await self._try_later(notice, now, why)
            return False
        await self._outbox.remove(notice)
        log.info("%s: its notification was delivered.", notice.subject)
        return True

    async def _try_later(self, notice: Notice, now: float, why: Undelivered) -> None:
        if now - notice.posted_at > GIVE_UP_S:
            await self._outbox.remove(notice)
            log.error("%s: its notification could not be delivered for a day (%s) and is dropped.", notice.subject, why)
            return
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 4 ** min(notice.tries, 10)) * random.uniform(0.8, 1.2)
        await self._outbox.later(notice, now + pause)
        said = "%s: its notification was not delivered (%s); the next try is in %.0f s, or sooner."
        log.warning(said, notice.subject, why, pause)
