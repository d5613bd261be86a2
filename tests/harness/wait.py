"""Waiting for something to become true, with a bound; tests never sleep to let things happen."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ledger.connect import AWAY

T = TypeVar("T")
LOOK_AGAIN_S = 0.02


async def wait_until(
    condition: Callable[[], T | Awaitable[T]], *, within: float, what: str, every: float = LOOK_AGAIN_S
) -> T:
    """Return the condition's value once it is true; a Redis that is away counts as not yet."""
    deadline = time.monotonic() + within
    while True:
        try:
            value = condition()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
        except AWAY:
            pass
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:.0f} s: {what}")
        await asyncio.sleep(every)
