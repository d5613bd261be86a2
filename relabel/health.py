"""Checks all that a deployment needs, each part within a bound, with what to do where one is wrong."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from config.api_key import has_key, read_api_key
from config.errors import KeyUnavailable, SettingsError
from config.schedule import Schedule
from config.settings import Settings
from ledger.connect import open_ledger, persistence_warnings
from ledger.errors import LedgerUnreachable
from ledger.ledger import Ledger
from ledger.server_info import clock_ahead_s, server_facts, write_and_forget
from ledger.workers import LivingWorker, of_release_one
from nightly.store import Nights
from relabel.agreement import disagreements
from relabel.check_result import CheckResult, Verdict
from relabel.ledger_age import judge_age, judge_losses, read_ledger_age
from relabel.remember import remember_once
from relabel.session import current_user

if TYPE_CHECKING:
    from completions.preflight import ApiSeen

LONGEST_CHECK_S = 8.0
"""Bound of one check; its steps have shorter ones."""
LONGEST_PING_S = 4.0
CLOCK_WARN_S, CLOCK_FAIL_S = 5.0, 60.0
"""A clock that is off by more than Celery's visibility timeout (300 s) makes a worker take what another is at."""
START_WORKER = "start one with `celery -A tasks.app worker --without-gossip`, and look at its log"
SET_ALIKE = "set it alike, and restart those that have it wrong"
END_OLD = "end it and start the new release in its place"
CORRECT_KEY = "correct its key: it is read again and tried every minute"


class HealthChecks:
    """The checks of what these settings name. `deployed`: workers are expected."""

    def __init__(self, settings: Settings, *, deployed: bool) -> None:
        # an HTTP client and Celery: loaded here, where no check's time runs
        from completions.preflight import look_at_api  # noqa: PLC0415
        from tasks.broker import Broker  # noqa: PLC0415

        self._open_broker = Broker
        self._look_at_api = look_at_api
        self._settings = settings
        self._deployed = deployed
        self._ping_task: asyncio.Task[ApiSeen] | None = None
        self._no_key = ""

    async def run(self, names: Iterable[str]) -> dict[str, CheckResult]:
        """Run these checks at the same time; return the result of each."""
        wanted = list(names)
        results = await asyncio.gather(*(self._bounded(CHECKS[name](self)) for name in wanted))
        found = dict(zip(wanted, results, strict=True))
        if "ledger" in found and found["ledger"].unreachable:
            # once is enough
            unknown = CheckResult(Verdict.WARN, "not known, as Redis does not answer")
            found |= {name: unknown for name in _IN_LEDGER if name in found and found[name].unreachable}
        return found

    async def _bounded(self, check: Awaitable[CheckResult]) -> CheckResult:
        try:
            async with asyncio.timeout(LONGEST_CHECK_S):
                return await check
        except SettingsError as error:
            return CheckResult(Verdict.FAIL, str(error))
        except LedgerUnreachable as error:
            return CheckResult(Verdict.FAIL, str(error), unreachable=True)
        except TimeoutError:
            what = f"no answer within {LONGEST_CHECK_S:.0f} s"
            return CheckResult(Verdict.FAIL, what, "see whether it hangs, and what lies between", unreachable=True)

    async def ledger(self) -> CheckResult:
        """Check that Redis answers, takes writes and keeps them, and that it is as old as the workers."""
        async with open_ledger(self._settings.ledger_url, retry=False) as redis:
            await write_and_forget(redis)
            if not (await server_facts(redis)).disk_writes_ok:
                return CheckResult(
                    Verdict.FAIL, "Redis cannot write to its disk", "see that it has room and may be written to"
                )
            age = judge_age(await read_ledger_age(Ledger(redis)))
            if warnings := await persistence_warnings(redis):
                what, _, then = " ".join(warnings).partition("; ")
                return CheckResult(Verdict.WARN, what, then)
        if age.verdict is Verdict.WARN:
            return age
        return CheckResult(Verdict.OK, f"Redis answers, takes writes and keeps them; {age.message}")

    async def jobs(self) -> CheckResult:
        """Check that no job was lost of late; apart from the server, as a worker is well all the same."""
        async with open_ledger(self._settings.ledger_url, retry=False) as redis:
            return judge_losses(await read_ledger_age(Ledger(redis)))

    async def broker(self) -> CheckResult:
        """Check that Celery's broker answers."""
        from tasks.broker import BrokerUnreachable  # noqa: PLC0415 - as above

        try:
            waiting = await asyncio.to_thread(self._open_broker(self._settings).queue_length)
        except BrokerUnreachable as error:
            what = f"Celery's broker cannot be reached ({error})"
            name = "RELABEL_BROKER_URL" if self._settings.broker_url else "RELABEL_REDIS__URL"
            return CheckResult(Verdict.FAIL, what, f"check {name} and that it runs", unreachable=True)
        return CheckResult(Verdict.OK, f"Celery's broker answers; {waiting} messages wait for a worker")

    async def workers(self) -> CheckResult:
        """Check that a worker is alive."""
        workers = await self._workers()
        if workers:
            alive = f"{len(workers)} alive, with {sum(worker.children for worker in workers)} children"
            if idle := _idle(workers):
                none_works = not any(worker.takes_shards for worker in workers)
                return CheckResult(Verdict.FAIL if none_works else Verdict.WARN, f"{alive}; {idle[0]}", idle[1])
            if clauses := disagreements(workers, await self._beat_schedule()):
                return CheckResult(Verdict.WARN, f"{alive}; {'; '.join(clauses)}", SET_ALIKE)
            return CheckResult(Verdict.OK, alive)
        if not self._deployed:
            return CheckResult(Verdict.OK, "none is deployed; `relabel run` brings its own")
        return CheckResult(Verdict.FAIL, "no worker is alive", START_WORKER)

    async def worker_here(self) -> CheckResult:
        """Check that a worker of this machine is alive."""
        host = socket.gethostname()
        here = [worker for worker in await self._workers() if worker.name.rpartition("@")[2] == host]
        if here:
            if idle := _idle(here):
                return CheckResult(Verdict.WARN, *idle)
            return CheckResult(Verdict.OK, f"{', '.join(worker.name for worker in here)} is alive")
        return CheckResult(Verdict.FAIL, f"no worker of this machine ({host}) is alive", START_WORKER)

    async def archive(self) -> CheckResult:
        """Check that workers can archive reports, where they are to."""
        async with open_ledger(self._settings.ledger_url, retry=False) as redis:
            queue = Ledger(redis).archive_queue
            if faults := await queue.faults():
                named = "; ".join(f"{fault.worker}: {fault.folder} ({fault.fault})" for fault in faults)
                then = "let the worker write there; it tries again each minute, and jobs wait for a week"
                return CheckResult(Verdict.FAIL, f"reports cannot be archived by {named}", then)
            used = {folder.folder for folder in await queue.folders()}
        return CheckResult(Verdict.OK, f"reports are archived in {', '.join(sorted(used))}" if used else "not set up")

    async def clock(self) -> CheckResult:
        """Check that this machine's clock and that of the server agree."""
        async with open_ledger(self._settings.ledger_url, retry=False) as redis:
            return judge_clock(await clock_ahead_s(redis))

    async def api(self) -> CheckResult:
        """Check that the API answers."""
        if why := (await self._api_seen()).unreachable:
            return CheckResult(Verdict.FAIL, why, "look at OPENAI_BASE_URL and the network", unreachable=True)
        if why := (await self._api_seen()).wrong_url:
            what, _, then = why.partition("; ")
            return CheckResult(Verdict.FAIL, f"{self._settings.openai_base_url} is not the API's: {what}", then)
        return CheckResult(Verdict.OK, f"{self._settings.openai_base_url} answers")

    async def key(self) -> CheckResult:
        """Check that the API accepts the key."""
        if not has_key(self._settings):
            return CheckResult(Verdict.FAIL, "OPENAI_API_KEY is not set", "set it")
        seen = await self._api_seen()
        if self._no_key:
            return CheckResult(Verdict.FAIL, self._no_key)
        if seen.unreachable:
            return CheckResult(Verdict.WARN, "not known, as the API does not answer")
        if seen.wrong_url:
            return CheckResult(Verdict.WARN, "not known, as this is not the API's URL")
        if seen.refused:
            return CheckResult(Verdict.FAIL, seen.refused, "correct OPENAI_API_KEY, or what it is allowed to do")
        return CheckResult(Verdict.OK, "the API takes the key")

    async def _workers(self) -> list[LivingWorker]:
        async with open_ledger(self._settings.ledger_url, retry=False) as redis:
            return await Ledger(redis).workers.living()

    async def _beat_schedule(self) -> Schedule | None:
        async with open_ledger(self._settings.ledger_url, retry=False) as redis:
            noted = await Nights(redis).beat_schedule()
        return Schedule(*noted) if noted else None

    async def _api_seen(self) -> ApiSeen:
        if self._ping_task is None:  # one request serves both checks
            self._ping_task = asyncio.create_task(self._ping())
        return await asyncio.shield(self._ping_task)

    async def _ping(self) -> ApiSeen:
        try:
            secret = await asyncio.to_thread(read_api_key, self._settings)
        except KeyUnavailable as error:
            secret, self._no_key = "", str(error)
        return await self._look_at_api(self._settings, secret=secret, tries=1, longest_s=LONGEST_PING_S)


def _idle(workers: list[LivingWorker]) -> tuple[str, str] | None:
    """Return which workers take no shards, and what to do; None where all do."""
    if names := sorted(worker.name for worker in workers if worker.key_refused):
        return f"the API refuses the key of {', '.join(names)}, which takes no shards", CORRECT_KEY
    old = of_release_one(workers)
    if old and len(old) < len(workers):
        return f"{', '.join(old)} is of release one, beside which no later worker takes shards", END_OLD
    return None


def judge_clock(ahead_s: float) -> CheckResult:
    """Return whether a clock that is so many seconds ahead of the server's does harm."""
    off = abs(ahead_s)
    if off <= CLOCK_WARN_S:
        return CheckResult(Verdict.OK, "this machine's clock agrees with that of Redis")
    what = f"this machine's clock is {off:.0f} s {'ahead of' if ahead_s > 0 else 'behind'} that of Redis"
    then = "synchronise both (NTP): Celery takes messages for lost by the clocks of its workers"
    return CheckResult(Verdict.FAIL if off > CLOCK_FAIL_S else Verdict.WARN, what, then)


CHECKS: dict[str, Callable[[HealthChecks], Awaitable[CheckResult]]] = {
    "ledger": HealthChecks.ledger,
    "jobs": HealthChecks.jobs,
    "broker": HealthChecks.broker,
    "workers": HealthChecks.workers,
    "worker-here": HealthChecks.worker_here,
    "clock": HealthChecks.clock,
    "archive": HealthChecks.archive,
    "api": HealthChecks.api,
    "key": HealthChecks.key,
}
"""The checks by name, in the order in which they are shown."""
_IN_LEDGER = ("jobs", "workers", "worker-here", "clock", "archive")
DEFAULT_CHECKS = tuple(name for name in CHECKS if name != "worker-here")
"""The checks to run where none is named: the command may run where no worker is."""


async def check_health(settings: Settings, names: Iterable[str] = (), *, deployed: bool) -> dict[str, CheckResult]:
    """Run the named checks, or the usual ones, and return what each found.

    `deployed`: workers are expected; without, the settings name the embedded server, of which the state folder knows.
    """
    if not deployed:
        async with open_ledger(settings.ledger_url) as redis:
            await remember_once(Ledger(redis), settings.state_folder, seen_by=current_user())
    return await HealthChecks(settings, deployed=deployed).run(names or DEFAULT_CHECKS)


def health_facts(found: dict[str, CheckResult]) -> list[dict[str, Any]]:
    """Return the results as JSON takes them."""
    return [
        {"check": name, "verdict": str(result.verdict), "said": result.message, "next": result.next_step or None}
        for name, result in found.items()
    ]
