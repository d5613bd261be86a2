"""Examines how a service treats updates, in steps after each of which the completion can be restored.

Only a key that the completion has is changed or left out: a key that is added could not be removed again where the
service merges.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable

from completions.errors import Retryable, RowFailed
from ledger.row import MAX_PAIRS, Metadata
from ledger.service_profile import Behaviour, Null, PairLimit, Semantics
from probe.calls import AnyMetadata, RetryingCalls
from probe.listed import ListedCompletion, NotListed

VISIBLE_WITHIN_S = 30.0
"""Longest wait until a read shows an update; a new completion was seen after 19 s at most (contract section 5)."""
ECHO_WITHIN_S = 3.0
"""Least wait, beside three times the lag that was seen, until a read that differs from a reply is not merely late."""
POLL_S = 0.2
LISTED_CHANGES = 3
"""Changes that pages of the list have to show: one may be by chance."""
MARK = "relabel probe"
"""Value that a key holds for a few seconds; with a number appended, a key that is named with null and never set."""

OnStep = Callable[[str], None]


class NotAsSent(Exception):
    """The service answered 200 but does not show what was sent."""


class Probe:
    """One examination of a service, on a completion that holds `before`."""

    def __init__(self, calls: RetryingCalls, before: Metadata, on_step: OnStep) -> None:
        self._calls = calls
        self._before = before
        self._key = min((key for key, value in before.items() if value), default=min(before))
        self._on_step = on_step
        self._visible_after_s = 0.0
        self._echoes = False
        self._reads: list[float] = []
        self._writes: list[float] = []

    async def examine(self) -> Behaviour:
        """Take all steps and return what they show; the caller restores the completion, whatever the result.

        Raises:
            Refusal: a call was refused, or its tries were used up.
            NotAsSent: the service did not keep a plain change.
            TimeoutError: the shared rate had no slot.

        """
        self._on_step("changing the value of one key")
        self._visible_after_s = await self._change()
        self._on_step("leaving that key out")
        semantics = await self._leave_out()
        await self._put_back()
        self._on_step("sending null for its value")
        null_value = self._effect_on_key(await self._result(self._before | {self._key: None}))
        await self._put_back()
        self._on_step("sending an empty text for its value")
        empty_value = self._effect_on_key(await self._result(self._before | {self._key: ""}))
        await self._put_back()
        pair_limit = await self._pair_limit(null_value)
        self._on_step("looking at it on a page of the list")
        listed_at_once = await self._listed_at_once()
        self._on_step("sending null for all metadata")
        null_map = self._effect_on_all(await self._result(None))
        return Behaviour(
            semantics=semantics,
            null_value=null_value,
            null_map=null_map,
            read_s=statistics.median(self._reads),
            write_s=statistics.median(self._writes),
            visible_after_s=self._visible_after_s,
            at=time.time(),
            empty_value=empty_value,
            pair_limit=pair_limit,
            reply_echoes=self._echoes,
            listed_at_once=listed_at_once,
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
        """Return what becomes of a key that is left out; also learn whether the reply shows that or only echoes."""
        rest = {key: value for key, value in self._before.items() if key != self._key}
        answered = await self._write(rest)
        if not await self._is_shown(answered, within_s=max(ECHO_WITHIN_S, 3 * self._visible_after_s)):
            held = (await self._calls.read()).reply.metadata or {}
            if answered != rest or held.keys() != self._before.keys():
                raise NotAsSent
            self._echoes = True
            return Semantics.MERGES
        return Semantics.MERGES if self._key in answered else Semantics.REPLACES

    async def _put_back(self) -> None:
        if await self._write(self._before) != self._before or not await self._is_shown(self._before):
            raise NotAsSent

    async def _pair_limit(self, null_value: Null) -> PairLimit:
        """Return which pairs count against the 16: send more, the excess null, where null removes keys."""
        if null_value is not Null.REMOVES:
            return PairLimit.UNKNOWN
        self._on_step(f"naming more than {MAX_PAIRS} keys, most of them with null")
        spare: dict[str, str | None] = {
            f"{MARK} {number}": None for number in range(1, MAX_PAIRS + 2 - len(self._before))
        }
        result = await self._result(self._before | spare)
        if not isinstance(result, Null) and (extra := result.keys() - self._before.keys()):
            await self._write(self._before | dict.fromkeys(extra))  # it stored them; null removes what is there
        await self._put_back()
        if result is Null.REFUSED:
            return PairLimit.REQUEST
        return PairLimit.RESULT if result == self._before else PairLimit.UNKNOWN

    async def _listed_at_once(self) -> bool | None:
        """Return whether a page shows each of a few changes once a read does; None where none shows the completion."""
        listed = ListedCompletion(self._calls)
        at_once = True
        try:
            await listed.find()
            for number in range(1, LISTED_CHANGES + 1):
                changed = self._before | {self._key: f"{MARK} page {number}"}
                if await self._write(changed) != changed or not await self._is_shown(changed):
                    raise NotAsSent
                at_once = await listed.read() == changed and at_once
        except NotListed:
            return None
        finally:
            await self._put_back()
        return at_once

    async def _result(self, metadata: AnyMetadata) -> Metadata | Null:
        """Send it and return what the completion then holds; `refused` or `unknown` where that cannot be learned."""
        try:
            answered = await self._write(metadata)
        except RowFailed:
            return Null.REFUSED
        except (Retryable, NotAsSent) as error:
            # an answer that echoes null is no completion
            if isinstance(error, Retryable) and error.code != "bad_response":
                return Null.UNKNOWN
            return await self._held()
        if self._echoes:
            return await self._held()
        return answered if await self._is_shown(answered) else Null.UNKNOWN

    async def _held(self) -> Metadata | Null:
        """Return what a read shows once an update must be visible."""
        await asyncio.sleep(max(POLL_S, 2 * self._visible_after_s))
        reply = (await self._calls.read()).reply
        return Null.UNKNOWN if reply.metadata is None and not reply.is_null else reply.metadata or {}

    def _effect_on_key(self, result: Metadata | Null) -> Null:
        if isinstance(result, Null):
            return result
        if result == self._before:
            return Null.IGNORED
        if result == self._before | {self._key: ""}:
            return Null.KEPT
        if not result:
            return Null.CLEARS if len(self._before) > 1 else Null.UNCLEAR
        rest = {key: value for key, value in self._before.items() if key != self._key}
        return Null.REMOVES if result == rest else Null.CHANGES

    def _effect_on_all(self, result: Metadata | Null) -> Null:
        if isinstance(result, Null):
            return result
        if result == self._before:
            return Null.IGNORED
        return Null.CHANGES if result else Null.REMOVES

    async def _write(self, metadata: AnyMetadata) -> Metadata:
        answer = await self._calls.write(metadata)
        self._writes.append(answer.took_s)
        if answer.reply.metadata is None and not answer.reply.is_null:
            raise NotAsSent
        return answer.reply.metadata or {}

    async def _is_shown(self, metadata: Metadata, *, within_s: float = VISIBLE_WITHIN_S) -> bool:
        """Read until the completion is shown with this metadata; False where it never is."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while True:
            answer = await self._calls.read()
            self._reads.append(answer.took_s)
            if answer.reply.shows(metadata):
                return True
            if loop.time() > deadline:
                return False
            await asyncio.sleep(POLL_S)
