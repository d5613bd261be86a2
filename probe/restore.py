"""Restores what a completion held before a probe, and verifies it by reading."""

from __future__ import annotations

import asyncio
import contextlib

from completions.errors import Refusal, Retryable
from ledger.row import Metadata
from probe.calls import RetryingCalls
from probe.errors import StillChanged
from probe.examine import MARK

RESTORE_WITHIN_S = 120.0
"""Seconds after which it is given up; updates take 4 to 6 s (contract section 1)."""
TRY_AGAIN_S = 1.0
MOST_REFUSALS = 5
"""Refusals that waiting does not cure, of the key for example, after which it is given up."""
NOT_SHOWN_READS = 10
"""Reads without metadata, which prove nothing, before the write is made again."""
LATE_WRITE_S = 3.0
"""Seconds that a write without an answer gets to take effect after all."""


async def restore(calls: RetryingCalls, before: Metadata, *, within_s: float = RESTORE_WITHIN_S) -> None:
    """Write what the completion held until a read shows it; nothing where nothing was written.

    Raises:
        StillChanged: the time is up, or the service refused it `MOST_REFUSALS` times.

    """
    if not calls.wrote:
        return
    why, refusals = "it took too long", 0
    left_behind: set[str] = set()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while refusals < MOST_REFUSALS:
                try:
                    if await _once(calls, before, left_behind):
                        return
                    why = "the service answers 200 but does not show what was sent"
                except Refusal as refusal:
                    why = refusal.message
                    refusals += not isinstance(refusal, Retryable)
                await asyncio.sleep(TRY_AGAIN_S)
    raise StillChanged(why)


async def _once(calls: RetryingCalls, before: Metadata, left_behind: set[str]) -> bool:
    """Write what the completion held, with null for the probe's own keys, and return whether a read shows it."""
    await calls.write(before | dict.fromkeys(left_behind), urgent=True)
    for _ in range(NOT_SHOWN_READS):
        read = (await calls.read(urgent=True)).reply
        if read.metadata is not None or read.is_null:
            break
        await asyncio.sleep(TRY_AGAIN_S)
    left_behind.clear()
    if not read.shows(before):
        left_behind.update(key for key in read.metadata or {} if key.startswith(MARK) and key not in before)
        return False
    if not calls.in_doubt:
        return True
    await asyncio.sleep(LATE_WRITE_S)
    return await _holds(calls, before)


async def _holds(calls: RetryingCalls, before: Metadata) -> bool:
    return (await calls.read(urgent=True)).reply.shows(before)
