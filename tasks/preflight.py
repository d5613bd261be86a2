"""A look at the API before anything is stored: a command that cannot reach it should not leave a job behind."""

from __future__ import annotations

import asyncio
import secrets

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


async def trouble_with_api(settings: Settings) -> str:
    """Say why the API cannot be used; '' where it answers, with whatever but a refusal of the key or the caller.

    A key that may update completions need not be allowed to list them: a list that is refused for that says nothing.
    """
    target = target_of(settings)
    target = target._replace(timeout_s=min(target.timeout_s, LONGEST_TRY_S))
    async with open_api(target, in_flight=1) as api:
        for left in reversed(range(TRIES)):
            try:
                await api.knock(request_name=f"preflight-{secrets.token_hex(6)}")
            except Refusal as refusal:
                if refusal.status in _LOCKED_OUT and not lacks_permission(refusal):
                    return f"{refusal.message.rstrip('.')} ({refusal.status})"
                # a proxy that refuses comes with a status of its own, but without the API's answer
                if refusal.status and refusal.code != "proxy":
                    return ""
                if not left or refusal.code in {"tls", "proxy"}:
                    return refusal.message
            else:
                return ""
            await asyncio.sleep(TRY_AGAIN_S)
    raise AssertionError("the last try returns")
