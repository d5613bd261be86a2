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


class AwaySince:
    """Since when that does not answer which a server asks, as far as it saw: nobody else writes it down."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def note(self, name: str, *, away: bool) -> float | None:
        """Return since when something does not answer, in seconds since the epoch; None where it does."""
        if not away:
            self._since.pop(name, None)
            return None
        return self._since.setdefault(name, time.time())


class HealthLooks:
    """What the checks of a server found last."""

    def __init__(self, settings: Settings, ledger: Ledger, away: AwaySince) -> None:
        self._settings = settings
        self._ledger = ledger
        self._away = away
        self._lock = asyncio.Lock()
        self._known_until = 0.0
        self._found: dict[str, CheckResult] = {}

    async def found(self) -> dict[str, CheckResult]:
        """Return what each check finds now, or found within the last second."""
        async with self._lock:
            if time.monotonic() >= self._known_until:
                found = await check_health(self._settings, SERVED_CHECKS, deployed=True, ledger=self._ledger)
                self._found = {name: self._with_since(name, result) for name, result in found.items()}
                self._known_until = time.monotonic() + KNOWN_FOR_S
            return self._found

    def _with_since(self, name: str, result: CheckResult) -> CheckResult:
        since = self._away.note(name, away=result.unreachable)
        return result if result.since is not None else result._replace(since=since)
