"""Finds out how a service treats updates, by steps after each of which the completion can be given back what it held.

Only a key that the completion has is touched, and its own value is all that is ever left out: a key that is added could
not be taken away again where the service merges.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable

from ledger.behaviour import Behaviour, Null, Semantics
from ledger.row import Metadata
from worker.errors import Again, RowFailed
from worker.steady_calls import AnyMetadata, SteadyCalls

VISIBLE_WITHIN_S = 30.0
"""Longest wait until a read shows an update; a new completion was seen after 19 s at most (contract section 5)."""
LOOK_AGAIN_S = 0.2
MARK = "relabel probe"
"""Value that a key holds for some seconds."""

Tell = Callable[[str], None]


class NotAsSent(Exception):
    """The service answered 200 and does not show what was sent."""


class Probe:
    """One examination of a service, on a completion that holds `before`."""

    def __init__(self, calls: SteadyCalls, before: Metadata, tell: Tell) -> None:
        self._calls = calls
        self._before = before
        self._key = min(before)
        self._tell = tell
        self._reads: list[float] = []
        self._writes: list[float] = []

    async def examine(self) -> Behaviour:
        """Take all steps; whoever calls restores the completion, whatever comes of them.

        Raises:
            Refusal: a call was refused, or failed too often.
            NotAsSent: the service did not keep a plain change.
            TimeoutError: the shared rate had no slot.

        """
        self._tell("changing the value of one key")
        visible_after_s = await self._change()
        self._tell("leaving that key out")
        semantics = await self._leave_out()
        await self._put_back()
        self._tell("sending null for its value")
        null_value = await self._send_null(self._before | {self._key: None})
        await self._put_back()
        self._tell("sending null for all metadata")
        null_map = await self._send_null(None)
        return Behaviour(
            semantics=semantics,
            null_value=null_value,
            null_map=null_map,
            read_s=statistics.median(self._reads),
            write_s=statistics.median(self._writes),
            visible_after_s=visible_after_s,
            at=time.time(),
        )

    async def _change(self) -> float:
        mark = MARK if self._before[self._key] != MARK else f"{MARK} 2"
        changed = self._before | {self._key: mark}
        answered = await self._write(changed)
        began = asyncio.get_running_loop().time()
        if answered != changed or not await self._is_shown(changed):
            raise NotAsSent
        return asyncio.get_running_loop().time() - began

    async def _leave_out(self) -> Semantics:
        rest = {key: value for key, value in self._before.items() if key != self._key}
        answered = await self._write(rest)
        if not await self._is_shown(answered):
            raise NotAsSent
        return Semantics.MERGES if self._key in answered else Semantics.REPLACES

    async def _put_back(self) -> None:
        if await self._write(self._before) != self._before or not await self._is_shown(self._before):
            raise NotAsSent

    async def _send_null(self, metadata: AnyMetadata) -> Null:
        try:
            answered = await self._write(metadata)
        except RowFailed:
            return Null.REFUSED
        except Again:
            return Null.UNKNOWN
        if not await self._is_shown(answered):
            return Null.UNKNOWN
        if answered == self._before:
            return Null.IGNORED
        gone = self._before.keys() - answered.keys()
        rest = {key: value for key, value in self._before.items() if key not in gone}
        return Null.REMOVES if self._key in gone and answered == rest else Null.CHANGES

    async def _write(self, metadata: AnyMetadata) -> Metadata:
        answer = await self._calls.write(metadata)
        self._writes.append(answer.took_s)
        if answer.reply.metadata is None and not answer.reply.is_null:
            raise NotAsSent
        return answer.reply.metadata or {}

    async def _is_shown(self, metadata: Metadata) -> bool:
        """Read until the completion is shown with this metadata; False where it never is."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + VISIBLE_WITHIN_S
        while True:
            answer = await self._calls.read()
            self._reads.append(answer.took_s)
            if answer.reply.shows(metadata):
                return True
            if loop.time() > deadline:
                return False
            await asyncio.sleep(LOOK_AGAIN_S)
