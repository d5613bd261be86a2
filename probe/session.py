"""Runs a probe from its claim on the completion to the completion's restoration."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

from completions.client import open_api
from completions.errors import Refusal, RowFailed, StopJob
from completions.target import read_target
from config.api_key import read_api_key
from config.settings import Settings
from ledger.cancellation import end_tasks
from ledger.claims import Claimant, Claims, GivenUp, claim_life_s, claim_of
from ledger.connect import AWAY
from ledger.ledger import Ledger
from ledger.row import Metadata
from ledger.service_profile import Behaviour
from ledger.shards import LEASE_S
from probe.calls import RetryingCalls
from probe.errors import BrokenOff, NotBegun
from probe.examine import NotAsSent, OnStep, Probe
from probe.restore import restore
from ratelimit.limiter import RateLimiter
from ratelimit.limits import Limits
from ratelimit.shared_rate import shared_limit

T = TypeVar("T")
EXAMINE_WITHIN_S = 300.0
"""Bound of all steps, in seconds: about fifteen requests of a few seconds each."""
RETRY_CLAIM_S = 0.3
KEEP_CLAIM_S = LEASE_S / 4
NO_SLOT = "the shared rate had no slot for it within a minute; Redis may be away, or the rate is too low"
NOT_AS_SENT = "the service answers 200 but does not show what was sent; somebody else may be changing this completion"


class Watch(NamedTuple):
    """What the caller does meanwhile: shows each step, and keeps what the completion held until that is restored.

    `stopped` is set to stop the probe.
    """

    on_step: OnStep
    keep: Callable[[Metadata], None]
    restored: Callable[[], None]
    stopped: asyncio.Event


async def probe_completion(settings: Settings, ledger: Ledger, completion_id: str, watch: Watch) -> Behaviour:
    """Examine the service on this completion, restore it whatever happens, and store and return what was found.

    Raises:
        NotBegun: the completion cannot be used for this.
        BrokenOff: the probe was stopped or failed.
        StillChanged: the completion could not be restored.

    """
    async with _calls(settings, ledger, completion_id) as calls:
        before = await _unless_stopped(_read_before(calls), watch.stopped)
        watch.keep(before)
        try:
            behaviour = await _examine(Probe(calls, before, watch.on_step), watch.stopped)
        finally:
            watch.on_step("restoring the completion")
            await restore(calls, before)
            watch.restored()
    await ledger.behaviours.keep(settings.openai_base_url, behaviour)
    return behaviour


async def restore_completion(settings: Settings, ledger: Ledger, completion_id: str, before: Metadata) -> None:
    """Restore what a completion held before a probe that was killed.

    Raises:
        NotBegun: the completion cannot be reached.
        StillChanged: it could not be restored.

    """
    # the claim of a probe that was killed runs out first
    max_wait_s = claim_life_s(settings.api.timeout_s) + 2
    async with _calls(settings, ledger, completion_id, max_wait_s=max_wait_s) as calls:
        if await _read_before(calls, empty=True) != before:
            calls.wrote = calls.in_doubt = True
            await restore(calls, before)


async def _read_before(calls: RetryingCalls, *, empty: bool = False) -> Metadata:
    try:
        reply = (await calls.read()).reply
    except Refusal as refusal:
        reason = refusal.message.rstrip(".")
        if isinstance(refusal, StopJob) and refusal.status == 404:
            reason += "; check the id and OPENAI_BASE_URL, which usually ends in /v1"
        raise NotBegun(reason, unreachable=not isinstance(refusal, RowFailed)) from refusal
    if reply.metadata is None and not reply.is_null:
        raise NotBegun(
            "the API's answer shows no metadata of this completion, so nothing could be restored; choose another"
        )
    before = reply.metadata or {}
    if not before and not empty:
        raise NotBegun(
            "this completion has no metadata, and a key that is added may stay for ever; choose one that has a key"
        )
    return before


async def _examine(probe: Probe, stopped: asyncio.Event) -> Behaviour:
    try:
        return await _unless_stopped(probe.examine(), stopped)
    except Refusal as refusal:
        raise BrokenOff(refusal.message) from refusal
    except NotAsSent as error:
        raise BrokenOff(NOT_AS_SENT) from error
    except TimeoutError as error:
        raise BrokenOff(NO_SLOT) from error


async def _unless_stopped(work: Coroutine[Any, Any, T], stopped: asyncio.Event) -> T:
    working, stopping = asyncio.create_task(work), asyncio.create_task(stopped.wait())
    both: set[asyncio.Task[Any]] = {working, stopping}
    await asyncio.wait(both, timeout=EXAMINE_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
    await end_tasks(both)
    if not working.cancelled():
        return working.result()
    if stopped.is_set():
        raise BrokenOff("it was interrupted", interrupted=True)
    raise BrokenOff(f"it took more than {EXAMINE_WITHIN_S:.0f} s")


@asynccontextmanager
async def _calls(
    settings: Settings, ledger: Ledger, completion_id: str, *, max_wait_s: float = 0.0
) -> AsyncIterator[RetryingCalls]:
    """Open what a probe needs: the completion for itself, the API, the shared rate."""
    target = await read_target(settings)
    shared = shared_limit(settings, target.secret)
    claim = claim_of(target.base_url, completion_id)
    life_s = claim_life_s(settings.api.timeout_s)
    read_key = functools.partial(read_api_key, settings)
    api_of = open_api(target, in_flight=1, read_key=read_key)
    async with _claimed(ledger.claims, claim, life_s, max_wait_s), api_of as api:
        limiter = RateLimiter(Limits(ledger.redis), shared, job_id=None, rate_headers=api.rate_headers)
        try:
            yield RetryingCalls(api, limiter, completion_id, name=f"probe-{secrets.token_hex(4)}")
        finally:
            await limiter.aclose()


@asynccontextmanager
async def _claimed(claims: Claims, claim: str, life_s: float, max_wait_s: float) -> AsyncIterator[None]:
    prober = Claimant(f"probe:{secrets.token_hex(4)}", life_s)
    deadline = asyncio.get_running_loop().time() + max_wait_s
    while not (await claims.swap(prober, take=[claim])).taken[0].is_ours:
        if asyncio.get_running_loop().time() >= deadline:
            raise NotBegun("a job or another probe is changing this completion just now; try again when it has ended")
        await asyncio.sleep(RETRY_CLAIM_S)
    done = asyncio.Event()
    keeping = asyncio.create_task(_keep(claims, prober, claim, done))
    try:
        yield
    finally:
        done.set()
        await asyncio.wait({keeping})


async def _keep(claims: Claims, prober: Claimant, claim: str, done: asyncio.Event) -> None:
    """Renew the claim until the probe is done, then release it; where the ledger is away, it expires."""
    while not done.is_set():
        with contextlib.suppress(*AWAY):
            await claims.swap(prober, take=[claim])
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), KEEP_CLAIM_S)
    with contextlib.suppress(*AWAY):
        await claims.swap(prober, give_up=[GivenUp(claim)])
