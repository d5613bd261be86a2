"""Finds out whether the server can do its work, no more than once in two seconds: anybody may ask."""

from __future__ import annotations

import asyncio
import time

from config.settings import Settings
from ledger.connect import AWAY, describe, new_client
from ledger.ledger import Ledger
from web.health_looks import AwaySince

KNOWN_FOR_S = 2.0


class Readiness:
    """Whether Redis and the broker answer."""

    def __init__(self, settings: Settings, ledger: Ledger, away: AwaySince) -> None:
        self._settings = settings
        self._ledger = ledger
        self._away = away
        self._lock = asyncio.Lock()
        self._known_until = 0.0
        self._trouble = ""

    async def trouble(self) -> str:
        """Return why the server cannot do its work, '' where it can."""
        async with self._lock:
            if time.monotonic() >= self._known_until:
                self._trouble = await self._look()
                self._known_until = time.monotonic() + KNOWN_FOR_S
            return self._trouble

    async def _look(self) -> str:
        from tasks.broker import Broker, BrokerUnreachable  # noqa: PLC0415 - loads Celery

        redis = new_client(self._settings.ledger_url, retry=False)
        try:
            await redis.ping()
            await asyncio.to_thread(Broker(self._settings).queue_length)
            self._away.note("broker", away=False)
        except AWAY as error:
            return describe(error)
        except BrokerUnreachable as error:
            self._away.note("broker", away=True)
            return f"Celery's broker cannot be reached ({error})."
        finally:
            await redis.aclose()
        return ""
