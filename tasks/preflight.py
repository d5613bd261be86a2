"""A look at the API before anything is stored: a command that cannot reach it should not leave a job behind."""

from __future__ import annotations

import asyncio
import secrets
from typing import NamedTuple

from config.settings import Settings
from worker.api import open_api
from worker.classify import lacks_permission
from worker.errors import Refusal
from worker.runtime import target_of

TRIES = 3
"""One lost connection is no reason to give up."""
TRY_AGAIN_S = 0.5
LONGEST_TRY_S = 20.0
"""Bound of one try; the API was seen to list in a fraction of a second."""
_LOCKED_OUT = (401, 403, 407)


class ApiSeen(NamedTuple):
    """What came of a knock at the API: why nobody answers, or why the key is refused; '' where that is not so."""

    unreachable: str = ""
    refused: str = ""


async def trouble_with_api(settings: Settings) -> str:
    """Say why the API cannot be used; '' where it answers, with whatever but a refusal of the key or the caller."""
    seen = await look_at_api(settings)
    return seen.unreachable or seen.refused


async def look_at_api(settings: Settings, *, tries: int = TRIES, longest_s: float = LONGEST_TRY_S) -> ApiSeen:
    """Knock until the API answers, a few times.

    A key that may update completions need not be allowed to list them: a list that is refused for that says nothing.
    """
    target = target_of(settings)
    target = target._replace(timeout_s=min(target.timeout_s, longest_s))
    async with open_api(target, in_flight=1) as api:
        for left in reversed(range(tries)):
            try:
                await api.knock(request_name=f"preflight-{secrets.token_hex(6)}")
            except Refusal as refusal:
                if refusal.status in _LOCKED_OUT and not lacks_permission(refusal):
                    return ApiSeen(refused=f"{refusal.message.rstrip('.')} ({refusal.status})")
                # a proxy that refuses comes with a status of its own, but without the API's answer
                if refusal.status and refusal.code != "proxy":
                    return ApiSeen()
                if not left or refusal.code in {"tls", "proxy"}:
                    return ApiSeen(unreachable=refusal.message)
            else:
                return ApiSeen()
            await asyncio.sleep(TRY_AGAIN_S)
    raise AssertionError("the last try returns")
