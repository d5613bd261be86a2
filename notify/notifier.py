"""Tells the webhook of jobs that ended or paused by themselves, at least once each."""

from __future__ import annotations

import asyncio
import logging
import random

from ledger.ledger import Ledger
from notify.events import Endings
from notify.outbox import Notice, Outbox
from notify.payload import body_of, notice_of
from notify.webhook import Undelivered, Webhook

AT_ONCE = 4
"""Notifications that are under way together."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 3600.0
"""Time between two tries: four times as long after each, up to an hour."""
GIVE_UP_S = 86_400.0
"""Time after which a notification that was never taken is given up."""

log = logging.getLogger(__name__)


class Notifier:
    """Finds what is to be told and delivers it, one worker at a time."""

    def __init__(self, ledger: Ledger, webhook: Webhook) -> None:
        self._ledger = ledger
        self._webhook = webhook
        self._lock = Outbox(ledger.redis).lock()

    async def step(self) -> None:
        """Put what is new into the outbox and try what is due; nothing where another worker does."""
        if not await self._lock.take():
            return
        now = await self._ledger.jobs.now()
        for ending in await Endings(self._ledger.redis, self._ledger.jobs).pending_events():
            await Outbox(self._ledger.redis).post(notice_of(ending, now))
            await Endings(self._ledger.redis, self._ledger.jobs).told(ending)
        due = await Outbox(self._ledger.redis).due(now, most=AT_ONCE)
        await asyncio.gather(*(self._deliver(notice, now) for notice in due))

    async def end(self) -> None:
        """Deliver what there is to deliver a last time, and let another worker go on."""
        await self.step()
        await self._lock.give_up()

    async def _deliver(self, notice: Notice, now: float) -> None:
        try:
            await self._webhook.send(notice.delivery_id, body_of(notice))
        except Undelivered as why:
            await self._try_later(notice, now, why)
        else:
            await Outbox(self._ledger.redis).remove(notice)
            log.info("The webhook was told of job %s.", notice.job_id)

    async def _try_later(self, notice: Notice, now: float, why: Undelivered) -> None:
        if now - notice.posted_at > GIVE_UP_S:
            await Outbox(self._ledger.redis).remove(notice)
            log.error("The webhook could not be told of job %s for a day: %s. It is given up.", notice.job_id, why)
            return
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 4 ** min(notice.tries, 10)) * random.uniform(0.8, 1.2)
        await Outbox(self._ledger.redis).later(notice, now + pause)
        log.warning("The webhook was not told of job %s: %s. The next try is in %.0f s.", notice.job_id, why, pause)
