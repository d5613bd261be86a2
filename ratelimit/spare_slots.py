"""Slots of the shared rate that were leased before anybody waited for them, while there are plenty."""

from __future__ import annotations

from collections import deque

from ledger.clock import Clocks, Reading

MOST, SECONDS = 64, 0.01
"""Most spare slots of a lease, and the seconds in which the rate in force allows as many: others need slots, too."""


class SpareSlots:
    """Spare slots, each for `life_s` seconds from its lease; at most so many of a lease."""

    def __init__(self, clocks: Clocks, *, life_s: float, most: int = MOST) -> None:
        self._clocks = clocks
        self._life_s = life_s
        self._most = most
        self._leased: deque[Reading] = deque()
        self._asked_for = 0

    def wanted(self, rate: float) -> int:
        """Return how many to lease now at so many requests a second: as many as were asked for since the last lease."""
        wanted, self._asked_for = min(self._asked_for, self._most, int(rate * SECONDS)), 0
        return wanted

    def add(self, leased: Reading) -> None:
        """Keep a slot of the lease that was asked for at this moment."""
        self._leased.append(leased)

    def take(self) -> bool:
        """Take a slot, and return whether there was one."""
        self._asked_for += 1
        while self._leased:
            if self._clocks.age_s(self._leased.popleft()) <= self._life_s:
                return True
        return False

    def clear(self) -> None:
        """Drop them all: after a 429 they would only be refused."""
        self._leased.clear()
