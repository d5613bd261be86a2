"""Looks at all that a deployment needs, each thing within some seconds, and says what to do where it is wrong."""

from __future__ import annotations

import asyncio
import enum
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from completions.preflight import ApiSeen, look_at_api
from config.api_key import has_key, read_api_key
from config.errors import KeyUnavailable, SettingsError
from config.settings import Settings
from ledger.connect import open_ledger, persistence_warnings
from ledger.errors import LedgerUnreachable
from ledger.ledger import Ledger
from ledger.server_info import clock_ahead_s, server_facts, write_and_forget
from ledger.shards import LivingWorker
from tasks.broker import Broker, BrokerUnreachable

LONGEST_LOOK_S = 8.0
"""Bound of one look; what it is made of has shorter ones."""
LONGEST_KNOCK_S = 4.0
CLOCK_WARN_S, CLOCK_FAIL_S = 5.0, 60.0
"""A clock that is off by more than Celery's visibility timeout (300 s) makes a worker take what another is at."""
START_WORKER = "start one with `celery -A tasks.app worker --without-gossip`, and look at its log"


class Verdict(enum.StrEnum):
    """How a look went."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Look(NamedTuple):
    """What one look found, and what to do next; `unreachable` where nobody answered."""

    verdict: Verdict
    said: str
    next_step: str = ""
    unreachable: bool = False


class Checkup:
    """The looks at what these settings name. `deployed` tells whether workers are to be there at all."""

    def __init__(self, settings: Settings, *, deployed: bool) -> None:
        self._settings = settings
        self._deployed = deployed
        self._ping: asyncio.Task[ApiSeen] | None = None
        self._no_key = ""

    async def run(self, names: Iterable[str]) -> dict[str, Look]:
        """Take these looks at once; give what each found."""
        wanted = list(names)
        looks = await asyncio.gather(*(self._bounded(CHECKS[name](self)) for name in wanted))
        found = dict(zip(wanted, looks, strict=True))
        if "ledger" in found and found["ledger"].unreachable:
            # said once is enough
            unknown = Look(Verdict.WARN, "not known, as Redis does not answer")
            found |= {name: unknown for name in _IN_LEDGER if name in found and found[name].unreachable}
        return found

    async def _bounded(self, look: Awaitable[Look]) -> Look:
        try:
            async with asyncio.timeout(LONGEST_LOOK_S):
                return await look
        except SettingsError as error:
            return Look(Verdict.FAIL, str(error))
        except LedgerUnreachable as error:
            return Look(Verdict.FAIL, str(error), unreachable=True)
        except TimeoutError:
            what = f"no answer within {LONGEST_LOOK_S:.0f} s"
            return Look(Verdict.FAIL, what, "see whether it hangs, and what lies between", unreachable=True)

    async def ledger(self) -> Look:
        """Whether Redis answers, takes writes and keeps them."""
        async with open_ledger(self._settings.ledger_url, patient=False) as redis:
            await write_and_forget(redis)
            if not (await server_facts(redis)).disk_writes_ok:
                return Look(
                    Verdict.FAIL, "Redis cannot write to its disk", "see that it has room and may be written to"
                )
            if warnings := await persistence_warnings(redis):
                what, _, then = " ".join(warnings).partition("; ")
                return Look(Verdict.WARN, what, then)
        return Look(Verdict.OK, "Redis answers, takes writes and keeps them")

    async def broker(self) -> Look:
        """Whether Celery's broker answers."""
        try:
            waiting = await asyncio.to_thread(Broker(self._settings).queue_length)
        except BrokerUnreachable as error:
            what = f"Celery's broker cannot be reached ({error})"
            name = "RELABEL_BROKER_URL" if self._settings.broker_url else "RELABEL_REDIS__URL"
            return Look(Verdict.FAIL, what, f"check {name} and that it runs", unreachable=True)
        return Look(Verdict.OK, f"Celery's broker answers; {waiting} messages wait for a worker")

    async def workers(self) -> Look:
        """Whether any worker beats."""
        workers = await self._workers()
        if workers:
            alive = f"{len(workers)} alive, with {sum(worker.children for worker in workers)} children"
            if refused := [worker.name for worker in workers if worker.key_refused]:
                what = f"{alive}; the API refuses the key of {', '.join(sorted(refused))}, which takes no shards"
                then = "correct its key: it is read again and tried every minute"
                return Look(Verdict.WARN if len(refused) < len(workers) else Verdict.FAIL, what, then)
            return Look(Verdict.OK, alive)
        if not self._deployed:
            return Look(Verdict.OK, "none is deployed; `relabel run` brings its own")
        return Look(Verdict.FAIL, "no worker is alive", START_WORKER)

    async def worker_here(self) -> Look:
        """Whether a worker of this machine beats."""
        host = socket.gethostname()
        here = [worker for worker in await self._workers() if worker.name.rpartition("@")[2] == host]
        if here:
            if refused := [worker.name for worker in here if worker.key_refused]:
                what = f"the API refuses the key of {', '.join(sorted(refused))}, which takes no shards"
                return Look(Verdict.WARN, what, "correct its key: it is read again and tried every minute")
            return Look(Verdict.OK, f"{', '.join(worker.name for worker in here)} is alive")
        return Look(Verdict.FAIL, f"no worker of this machine ({host}) is alive", START_WORKER)

    async def clock(self) -> Look:
        """Whether this machine's clock and the server's agree."""
        async with open_ledger(self._settings.ledger_url, patient=False) as redis:
            return judge_clock(await clock_ahead_s(redis))

    async def api(self) -> Look:
        """Whether the API answers."""
        if why := (await self._api_seen()).unreachable:
            return Look(Verdict.FAIL, why, "look at OPENAI_BASE_URL and the network", unreachable=True)
        if why := (await self._api_seen()).wrong_url:
            what, _, then = why.partition("; ")
            return Look(Verdict.FAIL, f"{self._settings.openai_base_url} is not the API's: {what}", then)
        return Look(Verdict.OK, f"{self._settings.openai_base_url} answers")

    async def key(self) -> Look:
        """Whether the API takes the key."""
        if not has_key(self._settings):
            return Look(Verdict.FAIL, "OPENAI_API_KEY is not set", "set it")
        seen = await self._api_seen()
        if self._no_key:
            return Look(Verdict.FAIL, self._no_key)
        if seen.unreachable:
            return Look(Verdict.WARN, "not known, as the API does not answer")
        if seen.wrong_url:
            return Look(Verdict.WARN, "not known, as this is not the API's URL")
        if seen.refused:
            return Look(Verdict.FAIL, seen.refused, "correct OPENAI_API_KEY, or what it is allowed to do")
        return Look(Verdict.OK, "the API takes the key")

    async def _workers(self) -> list[LivingWorker]:
        async with open_ledger(self._settings.ledger_url, patient=False) as redis:
            return await Ledger(redis).shards.workers()

    async def _api_seen(self) -> ApiSeen:
        if self._ping is None:  # one request answers both questions
            self._ping = asyncio.create_task(self._look_at_api())
        return await asyncio.shield(self._ping)

    async def _look_at_api(self) -> ApiSeen:
        try:
            secret = await asyncio.to_thread(read_api_key, self._settings)
        except KeyUnavailable as error:
            secret, self._no_key = "", str(error)
        return await look_at_api(self._settings, secret=secret, tries=1, longest_s=LONGEST_KNOCK_S)


def judge_clock(ahead_s: float) -> Look:
    """Say whether a clock that is so many seconds ahead of the server's does harm."""
    off = abs(ahead_s)
    if off <= CLOCK_WARN_S:
        return Look(Verdict.OK, "this machine's clock agrees with that of Redis")
    what = f"this machine's clock is {off:.0f} s {'ahead of' if ahead_s > 0 else 'behind'} that of Redis"
    then = "synchronise both (NTP): Celery takes messages for lost by the clocks of its workers"
    return Look(Verdict.FAIL if off > CLOCK_FAIL_S else Verdict.WARN, what, then)


CHECKS: dict[str, Callable[[Checkup], Awaitable[Look]]] = {
    "ledger": Checkup.ledger,
    "broker": Checkup.broker,
    "workers": Checkup.workers,
    "worker-here": Checkup.worker_here,
    "clock": Checkup.clock,
    "api": Checkup.api,
    "key": Checkup.key,
}
"""The looks by name, in the order that they are told."""
_IN_LEDGER = ("workers", "worker-here", "clock")
UNASKED = tuple(name for name in CHECKS if name != "worker-here")
"""Those taken unless told otherwise; the command may run where no worker is."""
