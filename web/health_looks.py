"""Checks the deployment for whoever asks, no more than once a second: a look costs as much as many other requests."""

from __future__ import annotations

import asyncio
import time

from config.settings import Settings
from ledger.ledger import Ledger
from relabel.check_result import CheckResult
from relabel.health import SERVED_CHECKS, check_health

KNOWN_FOR_S = 1.0
CONNECTIONS = 4
"""Connections to Redis for the checks, which run at the same time: any more are opened for nothing."""


class HealthLooks:
    """What the checks of a server found last."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._lock = asyncio.Lock()
        self._known_until = 0.0
        self._found: dict[str, CheckResult] = {}

    async def found(self) -> dict[str, CheckResult]:
        """Return what each check finds now, or found within the last second."""
        async with self._lock:
            if time.monotonic() >= self._known_until:
                self._found = await check_health(self._settings, SERVED_CHECKS, deployed=True, ledger=self._ledger)
                self._known_until = time.monotonic() + KNOWN_FOR_S
            return self._found
