"""Checks the API before anything is stored: a command that cannot reach it should not leave a job behind."""

from __future__ import annotations

import asyncio
import secrets
from typing import NamedTuple

from completions.classify import lacks_permission
from completions.client import CompletionsApi, open_api
from completions.errors import RateLimited, Refusal, RowFailed, StopJob
from completions.target import read_target, target_of
from config.checks import base_url_hint
from config.settings import Settings

TRIES = 3
"""One lost connection is no reason to give up."""
TRY_AGAIN_S = 0.5
LONGEST_TRY_S = 20.0
"""Bound of one try; the API lists in a fraction of a second."""
NO_SUCH_ID = "chatcmpl-relabel000preflight000check00"
"""An id of the usual form that no service issued."""
_LOCKED_OUT = (401, 403, 407)


class ApiSeen(NamedTuple):
    """The result of a check: why the API is unreachable, refuses the key, or is not at this URL; '' if fine.

    `failing` is what it answers in place of a result although it is reachable, such as a 500 or a used-up quota.
    """

    unreachable: str = ""
    refused: str = ""
    wrong_url: str = ""
    failing: Refusal | None = None


async def trouble_with_api(settings: Settings) -> str:
    """Return why the API cannot be used; '' where nothing speaks against it, or what does may pass while rows wait."""
    seen = await look_at_api(settings)
    return seen.unreachable or seen.refused or seen.wrong_url


async def look_at_api(
    settings: Settings, *, secret: str | None = None, tries: int = TRIES, longest_s: float = LONGEST_TRY_S
) -> ApiSeen:
    """Send up to `tries` pings, each within `longest_s` seconds, and return what they show.

    The key is read anew unless `secret` is given. A key that may update completions need not be permitted to list
    them, so a list that is refused for that proves nothing. Nor need a service have a list: where its URL is unknown,
    or its list fails, that of a completion decides.
    """
    target = await read_target(settings) if secret is None else target_of(settings, secret)
    target = target._replace(timeout_s=min(target.timeout_s, longest_s))
    async with open_api(target, in_flight=1) as api:
        for left in reversed(range(tries)):
            try:
                await api.ping(request_name=f"preflight-{secrets.token_hex(6)}")
            except Refusal as refusal:
                if refusal.status in _LOCKED_OUT and not lacks_permission(refusal):
                    return ApiSeen(refused=_why_refused(refusal))
                if _knows_no_url(refusal):
                    return ApiSeen(wrong_url=await _why_wrong_url(api, refusal, settings.openai_base_url))
                # a proxy that refuses comes with a status of its own, but without the API's answer
                if refusal.status and refusal.code != "proxy":
                    return await _second_opinion(api, refusal)
                if not left or refusal.code in {"tls", "proxy"}:
                    return ApiSeen(unreachable=refusal.message)
            else:
                return ApiSeen()
            await asyncio.sleep(TRY_AGAIN_S)
    raise AssertionError("the last try returns")


async def _second_opinion(api: CompletionsApi, list_refusal: Refusal) -> ApiSeen:
    """Return what a completion's URL shows where the list is refused: only what fails there fails rows, too."""
    if isinstance(list_refusal, RateLimited):
        return ApiSeen()
    try:
        await api.read(NO_SUCH_ID, request_name=f"preflight-{secrets.token_hex(6)}")
    except Refusal as refusal:
        if isinstance(refusal, RowFailed | RateLimited) or lacks_permission(refusal) or _is_unclear(refusal):
            return ApiSeen()
        if refusal.status in _LOCKED_OUT:
            return ApiSeen(refused=_why_refused(refusal))
        if not refusal.status:
            return ApiSeen(unreachable=refusal.message)
        return ApiSeen(failing=refusal)
    return ApiSeen()


def _why_refused(refusal: Refusal) -> str:
    return f"{refusal.message.rstrip('.')} ({refusal.status})"


def _knows_no_url(refusal: Refusal) -> bool:
    return (refusal.status == 404 and not isinstance(refusal, RowFailed)) or refusal.code == "redirect"


async def _why_wrong_url(api: CompletionsApi, list_refusal: Refusal, base_url: str) -> str:
    """Return why this is no base URL of the API; '' where a service without a list has completions there."""
    try:
        await api.read(NO_SUCH_ID, request_name=f"preflight-{secrets.token_hex(6)}")
    except Refusal as refusal:
        # an unknown URL would be answered as that of the list was, but for the URL
        unlike = _is_unclear(refusal) and _said(refusal) != _said(list_refusal)
        if _knows_no_url(refusal) and not unlike:
            said = f"{refusal.status}: {refusal.message.rstrip('.')}"
            hint = base_url_hint(base_url)
            return f"it has no chat completions at this URL ({said}); correct OPENAI_BASE_URL{hint}"
    return ""


def _is_unclear(refusal: Refusal) -> bool:
    return isinstance(refusal, StopJob) and refusal.unclear


def _said(refusal: Refusal) -> tuple[bool, list[str]]:
    """Return what a 404 says apart from URLs and paths."""
    return _is_unclear(refusal), [word for word in refusal.message.split() if "/" not in word]
