"""A time in which Redis is away: told to the log once, and once more when it is over."""

from __future__ import annotations

import logging
import time

from ledger.connect import describe

log = logging.getLogger(__name__)


class Outage:
    """What one user of Redis sees of its outages."""

    def __init__(self) -> None:
        self._since: float | None = None

    def met(self, error: Exception) -> None:
        """Note that Redis is away."""
        if self._since is None:
            log.warning("%s Nothing is sent meanwhile.", describe(error))
            self._since = time.monotonic()

    def over(self) -> None:
        """Note that Redis answers."""
        if self._since is not None:
            log.info("Redis is back", extra={"seconds": round(time.monotonic() - self._since, 1)})
            self._since = None
