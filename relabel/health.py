"""Checks all that a deployment needs, each part within a bound, with what to do where one is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from config.api_key import has_key, read_api_key
from config.errors import KeyUnavailable, SettingsError
from config.settings import Settings
from ledger.connect import errors_explained, open_ledger
from ledger.errors import LedgerUnreachable
from ledger.ledger import Ledger
from ledger.server_info import clock_ahead_s
from relabel.advice import PAUSES
from relabel.check_result import CheckResult, Verdict
from relabel.health_jobs import check_jobs
from relabel.health_ledger import check_ledger
from relabel.health_nightly import check_nightly
from relabel.health_notifications import check_notifications
from relabel.health_rate import check_rate
from relabel.health_workers import check_worker_here, check_workers, check_workers_key
from relabel.remember import remember_once
from relabel.session import local_name
from relabel.wording import count_of

if TYPE_CHECKING:
    from completions.errors import Refusal
    from completions.preflight import ApiSeen

LONGEST_CHECK_S = 8.0
"""Bound of one check; its steps have shorter ones."""
LONGEST_PING_S = 4.0
CLOCK_WARN_S, CLOCK_FAIL_S = 5.0, 60.0
"""A clock that is off by more than Celery's visibility timeout (300 s) makes a worker take what another is at."""
USED_UP = (402, 429)
"""Statuses of an API that takes the key, and nothing more for it until somebody pays (`completions.classify`)."""
API_FAILS = (
    "look at the provider's status page and at what lies between; rows wait meanwhile, and fail after 15 minutes"
)


class HealthChecks:
    """The checks of what these settings name. `deployed`: workers are expected. `ledger` is used where it is open."""

    def __init__(self, settings: Settings, *, deployed: bool, ledger: Ledger | None = None) -> None:
        self._settings = settings
        self._deployed = deployed
        self._ledger = ledger
        self._ping_task: asyncio.Task[ApiSeen] | None = None
        self._no_key = ""

    async def run(self, names: Iterable[str]) -> dict[str, CheckResult]:
        """Run these checks at the same time; return the result of each."""
        wanted = list(names)
        load_libraries(wanted)
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
        """Check that Redis answers, takes writes and keeps them, has room, and is as old as the workers."""
        disk = self._settings.metrics.ledger_disk if self._deployed else self._settings.state_folder
        return await self._of_ledger(lambda ledger: check_ledger(ledger, disk))

    async def jobs(self) -> CheckResult:
        """Check that no job is lost, waits for somebody or stands still."""
        return await self._of_ledger(check_jobs)

    async def broker(self) -> CheckResult:
        """Check that Celery's broker answers."""
        from tasks.broker import Broker, BrokerUnreachable  # noqa: PLC0415 - as in `load_libraries`

        try:
            waiting = await asyncio.to_thread(Broker(self._settings).queue_length)
        except BrokerUnreachable as error:
            what = f"Celery's broker cannot be reached ({error})"
            name = "RELABEL_BROKER_URL" if self._settings.broker_url else "RELABEL_REDIS__URL"
            return CheckResult(Verdict.FAIL, what, f"check {name} and that it runs", unreachable=True)
        return CheckResult(Verdict.OK, f"Celery's broker answers; {count_of(waiting, 'message')} for workers")

    async def workers(self) -> CheckResult:
        """Check that a worker takes rows, that all agree, and that none is started again and again."""
        return await self._of_ledger(lambda ledger: check_workers(ledger, deployed=self._deployed))

    async def worker_here(self) -> CheckResult:
        """Check that a worker of this machine is alive."""
        return await self._of_ledger(check_worker_here)

    async def archive(self) -> CheckResult:
        """Check that workers can archive reports, where they are to."""
        return await self._of_ledger(check_archive)

    async def nightly(self) -> CheckResult:
        """Check that the last nightly runs went well, and that beat is there to begin the next."""
        return await self._of_ledger(lambda ledger: check_nightly(ledger, self._settings))

    async def notify(self) -> CheckResult:
        """Check that notifications reach the webhook."""
        return await self._of_ledger(check_notifications)

    async def rate(self) -> CheckResult:
        """Check that the API does not fail the workers, nor slows their shared rate down."""
        return await self._of_ledger(check_rate)

    async def clock(self) -> CheckResult:
        """Check that this machine's clock and that of the server agree."""

        async def check(ledger: Ledger) -> CheckResult:
            return judge_clock(await clock_ahead_s(ledger.redis))

        return await self._of_ledger(check)

    async def api(self) -> CheckResult:
        """Check that the API answers, and not with an error of its own or that the quota is used up."""
        seen, url = await self._api_seen(), self._settings.openai_base_url
        if seen.unreachable:
            then = "look at OPENAI_BASE_URL and the network"
            return CheckResult(Verdict.FAIL, f"{url} does not answer", then, unreachable=True, reason=seen.unreachable)
        if seen.wrong_url:
            what, _, then = seen.wrong_url.partition("; ")
            return CheckResult(Verdict.FAIL, f"{url} is not the API's", then, reason=what)
        if seen.failing:
            return judge_refusal(url, seen.failing)
        return CheckResult(Verdict.OK, f"{url} answers")

    async def key(self) -> CheckResult:
        """Check that the API accepts the key."""
        if not has_key(self._settings):
            return CheckResult(Verdict.FAIL, "OPENAI_API_KEY is not set", "set it")
        seen = await self._api_seen()
        if self._no_key:
            return CheckResult(Verdict.FAIL, self._no_key)
        if seen.refused:
            return CheckResult(Verdict.FAIL, seen.refused, "correct OPENAI_API_KEY, or what it is allowed to do")
        if why := _why_key_unknown(seen):
            return CheckResult(Verdict.WARN, f"not known, as {why}")
        return CheckResult(Verdict.OK, "the API takes the key")

    async def workers_key(self) -> CheckResult:
        """Check when the API last accepted a worker's key."""
        return await self._of_ledger(lambda ledger: check_workers_key(ledger, self._settings))

    async def _of_ledger(self, check: Callable[[Ledger], Awaitable[CheckResult]]) -> CheckResult:
        if self._ledger is None:
            async with open_ledger(self._settings.ledger_url, retry=False) as redis:
                return await check(Ledger(redis))
        with errors_explained():
            return await check(self._ledger)

    async def _api_seen(self) -> ApiSeen:
        if self._ping_task is None:  # one look serves both checks
            self._ping_task = asyncio.create_task(self._ping())
        return await asyncio.shield(self._ping_task)

    async def _ping(self) -> ApiSeen:
        try:
            secret = await asyncio.to_thread(read_api_key, self._settings)
        except KeyUnavailable as error:
            secret, self._no_key = "", str(error)
        from completions.preflight import look_at_api  # noqa: PLC0415 - as in `load_libraries`

        return await look_at_api(self._settings, secret=secret, tries=1, longest_s=LONGEST_PING_S)


def load_libraries(checks: Iterable[str]) -> None:
    """Import Celery and the HTTP client for the checks that need them, before a check's time runs.

    A check that a container repeats for ever needs neither; they would take a second of CPU each time.
    """
    if "broker" in checks:
        import tasks.broker  # noqa: F401, PLC0415
    if {"api", "key"} & set(checks):
        import completions.preflight  # noqa: F401, PLC0415


def _why_key_unknown(seen: ApiSeen) -> str:
    """Return why nobody can know whether the API takes the key; '' where it shows."""
    if seen.unreachable:
        return "the API does not answer"
    if seen.wrong_url:
        return "this is not the API's URL"
    return "the API fails" if seen.failing and seen.failing.status not in USED_UP else ""


def judge_refusal(url: str, refusal: Refusal) -> CheckResult:
    """Return what an API answers that fails each request, with the server's words and what to do about it."""
    said = "answers, but not as the API does" if refusal.status < 300 else f"answers {refusal.status}"
    used_up = PAUSES["insufficient_quota"] if refusal.status in USED_UP else API_FAILS
    then = PAUSES.get(refusal.code, used_up)
    return CheckResult(Verdict.FAIL, f"{url} {said}", then, reason=refusal.message.rstrip("."))


async def check_archive(ledger: Ledger) -> CheckResult:
    """Return whether workers can archive reports, where they are to."""
    if faults := await ledger.archive_queue.faults():
        named = "; ".join(f"{fault.worker}: {fault.folder} ({fault.fault})" for fault in faults)
        then = "let the worker write there; it tries again each minute, and jobs wait for a week"
        return CheckResult(Verdict.FAIL, f"reports cannot be archived by {named}", then)
    used = {folder.folder for folder in await ledger.archive_queue.folders()}
    return CheckResult(Verdict.OK, f"reports are archived in {', '.join(sorted(used))}" if used else "not set up")


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
    "nightly": HealthChecks.nightly,
    "notify": HealthChecks.notify,
    "rate": HealthChecks.rate,
    "api": HealthChecks.api,
    "key": HealthChecks.key,
    "workers-key": HealthChecks.workers_key,
}
"""The checks by name, in the order in which they are shown."""
_IN_LEDGER = frozenset(CHECKS) - {"ledger", "broker", "api", "key"}
SERVED_CHECKS = tuple(name for name in CHECKS if name not in {"worker-here", "api", "key"})
"""The checks of a server, which has no key: of the API it knows what workers found."""
DEFAULT_CHECKS = tuple(name for name in CHECKS if name not in {"worker-here", "workers-key"})
"""The checks to run where none is named: the command may run where no worker is, and looks at the API itself."""


async def check_health(
    settings: Settings, names: Iterable[str] = (), *, deployed: bool, ledger: Ledger | None = None
) -> dict[str, CheckResult]:
    """Run the named checks, or the usual ones, and return what each found.

    `deployed`: workers are expected; without, the settings name the embedded server, of which the state folder knows.
    `ledger` is one that stays open, for those who look time and again; else each check opens it anew.
    """
    if not deployed:
        async with open_ledger(settings.ledger_url) as own:
            await remember_once(Ledger(own), settings.state_folder, seen_by=local_name(settings))
    return await HealthChecks(settings, deployed=deployed, ledger=ledger).run(names or DEFAULT_CHECKS)


def health_facts(found: dict[str, CheckResult]) -> list[dict[str, Any]]:
    """Return the results as JSON takes them."""
    return [
        {"check": name, **_facts(result), "more": [_facts(other) for other in result.more]}
        for name, result in found.items()
    ]


def health_answer(found: dict[str, CheckResult], checked_at: str) -> dict[str, Any]:
    """Return the results with the worst verdict, as callers of Python and HTTP get them."""
    verdicts = {result.verdict for result in found.values()}
    worst = next((verdict for verdict in (Verdict.FAIL, Verdict.WARN) if verdict in verdicts), Verdict.OK)
    return {"object": "health", "status": str(worst), "checked_at": checked_at, "checks": health_facts(found)}


def _facts(result: CheckResult) -> dict[str, Any]:
    return {"verdict": str(result.verdict), "said": result.said, "next": result.next_step or None}
