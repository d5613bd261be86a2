"""Shows and sets the rate that all workers share, and that of one job, live."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from config.settings import Settings
from ledger.job import Job
from ledger.ledger import Ledger
from ratelimit.breaker import failing_s
from ratelimit.limits import Limit, RateStatus, SharedLimit
from ratelimit.shared_rate import USED_OVER_S, RateNote, SharedRate, jobs_on, only_limit_of, shared_limit
from relabel.errors import InvalidInput, WrongState
from relabel.rate_state import rate_warnings
from relabel.session import Session
from relabel.wording import per_minute


class RateResult(msgspec.Struct, frozen=True, kw_only=True):
    """The shared rate in requests a minute: by the settings, set live (None: not), in force, and why it is lower.

    `slowed_by` and `paused_by` are as in `ledger.progress.Waits`; `paused_until` is in seconds since the epoch. Where
    living workers are set to different rates (`worker_rates_per_minute`), the lowest holds, unless one was set live.
    `failing_s` is for how many seconds every read or every write has failed, 0 where one succeeded or nobody sends any.
    `background_per_minute` is what work in the background, such as a selection, may have: a tenth while a job runs.
    """

    object: Literal["rate"] = "rate"
    configured_per_minute: float
    configured_burst: int
    live_per_minute: float | None
    live_burst: int | None
    asked_per_minute: float
    in_force_per_minute: float
    slowed_by: str
    used_per_minute: float
    paused_s: float
    paused_until: float | None
    paused_by: str
    worker_rates_per_minute: list[float]
    failing_s: float
    background_per_minute: float = 0.0
    background_used_per_minute: float = 0.0

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why rows wait or are slow, in few clauses."""
        status = RateStatus(
            paused_s=self.paused_s,
            paused_by=self.paused_by,
            rate=self.in_force_per_minute / 60,
            asked=self.asked_per_minute / 60,
            slowed_by=self.slowed_by,
        )
        return rate_warnings(status, failing_s=self.failing_s)

    @property
    def burst(self) -> int:
        """The requests that may go at once."""
        return self.live_burst or self.configured_burst


class JobRate(msgspec.Struct, frozen=True, kw_only=True):
    """The rate of one job in requests a minute; None where only the shared rate counts."""

    object: Literal["job_rate"] = "job_rate"
    job_id: str
    rate_per_minute: float | None


async def read_rate(settings: Settings, ledger: Ledger) -> RateResult:
    """Return the rate of the endpoint, key, organisation and project that these settings name.

    Where they name none of them, it is that of the workers, if all share one.
    """
    shared = await _limit_of(settings, ledger) or shared_limit(settings)
    status, live_rate, live_burst = await SharedRate(ledger.redis, shared).read()
    now = await ledger.jobs.now()
    return RateResult(
        configured_per_minute=round(shared.limit.rate * 60, 6),
        configured_burst=shared.limit.burst,
        live_per_minute=None if live_rate is None else live_rate * 60,
        live_burst=live_burst,
        asked_per_minute=status.asked * 60,
        in_force_per_minute=status.rate * 60,
        slowed_by=status.slowed_by,
        used_per_minute=status.used / USED_OVER_S * 60,
        paused_s=status.paused_s,
        paused_until=now + status.paused_s if status.paused_s else None,
        paused_by=status.paused_by,
        worker_rates_per_minute=[round(rate * 60, 6) for rate in status.asks],
        failing_s=round(await failing_s(ledger.redis, shared.key), 1),
        background_per_minute=status.background * 60,
        background_used_per_minute=status.background_used / USED_OVER_S * 60,
    )


def require_rate_owner(settings: Settings) -> None:
    """Raise InvalidInput where the settings do not say whose shared rate is meant."""
    if not _names_owner(settings):
        raise _no_owner()


async def set_shared_rate(session: Session, *, rate_per_minute: float | None, burst: int | None) -> RateResult:
    """Set the rate, the burst or both, for all workers and until it is reset; return the rate as it then is.

    Raises:
        InvalidInput: it is not known whose rate is meant.

    """
    rate = None if rate_per_minute is None else rate_per_minute / 60
    why = f"shared burst {burst}"
    if rate_per_minute is not None:
        why = f"shared rate {per_minute(rate_per_minute)}, burst {Limit.per_minute(rate_per_minute, burst).burst}"
    await (await _shared_rate(session)).set(rate, burst, await _noted(session, why))
    return await read_rate(session.settings, session.ledger)


async def reset_shared_rate(session: Session) -> RateResult:
    """Let the workers' settings count again, and forget what self-correction learned; return the rate as it then is.

    Raises:
        InvalidInput: it is not known whose rate is meant.

    """
    await (await _shared_rate(session)).reset(await _noted(session, "shared rate reset to the settings"))
    return await read_rate(session.settings, session.ledger)


async def set_job_rate(session: Session, job_id: str, rate_per_minute: float | None) -> Job:
    """Set the rate of one job, None to let only the shared rate count; return the job as it then is.

    Raises:
        NoSuchJob: there is no such job.
        WrongState: the job has ended.

    """
    jobs = session.ledger.jobs
    job = await jobs.get(job_id)
    if job.state.ended:
        raise WrongState(f"job {job_id} is {job.state}; its rate matters no more.")
    why = per_minute(rate_per_minute) if rate_per_minute else "reset"
    await jobs.set_rate(job_id, rate_per_minute, by=session.user, why=why)
    return await jobs.get(job_id)


def rate_facts(rate: RateResult) -> dict[str, Any]:
    """Return the shared rate as JSON takes it."""
    return {name: value for name, value in msgspec.structs.asdict(rate).items() if name != "object"}


def job_rate_facts(job: Job) -> dict[str, Any]:
    """Return the rate of a job as JSON takes it."""
    return {"job_id": job.spec.job_id, "rate_per_minute": job.rate_per_minute}


async def _shared_rate(session: Session) -> SharedRate:
    shared = await _limit_of(session.settings, session.ledger)
    if shared is None:
        raise _no_owner()
    return SharedRate(session.ledger.redis, shared)


async def _limit_of(settings: Settings, ledger: Ledger) -> SharedLimit | None:
    """Return the limit that the settings name, else the only one of the workers; None where it is not known."""
    if _names_owner(settings):
        return shared_limit(settings)
    return await only_limit_of(ledger.redis, settings.openai_base_url)


def _names_owner(settings: Settings) -> bool:
    return bool(settings.rate.name or settings.openai_project_id or settings.openai_api_key)


def _no_owner() -> InvalidInput:
    return InvalidInput(
        "OPENAI_API_KEY is not set, nor RELABEL_RATE__NAME or OPENAI_PROJECT_ID; the shared rate belongs to one of "
        "them. Set the workers'."
    )


async def _noted(session: Session, why: str) -> RateNote:
    """Return what the log of every job under way that has the shared rate says of a change."""
    return RateNote(session.user, why, await jobs_on(session.settings, session.ledger))
