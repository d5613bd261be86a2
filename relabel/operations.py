"""What operators ask of Python: whether all is well, how the nightly runs stand, how the service behaves."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Literal

import msgspec

from config.errors import SettingsError
from ledger.clock import utc_time
from ledger.service_profile import Behaviour
from relabel.connection import Connection, reported
from relabel.errors import InvalidInput
from relabel.health import CHECKS, check_health, health_answer
from relabel.nightly import begin_run, follow_run, next_runs, nightly_facts, nightly_status
from relabel.nightly_run import run_facts
from relabel.probe import probe
from relabel.results import HealthResult, NightlyRunResult, result_of
from relabel.session import require_api_key


class NightlyDue(msgspec.Struct, frozen=True, kw_only=True):
    """When a nightly run is due, and the date that it counts for."""

    date: str
    at: str


class NightlyStatusResult(msgspec.Struct, frozen=True, kw_only=True):
    """How the nightly runs stand: the last one, others that have not ended, the date of one that was missed.

    `beat_fault` is why beat would not begin the next one, None where it would or nothing is scheduled.
    """

    object: Literal["nightly_status"] = "nightly_status"
    last: NightlyRunResult | None
    open: list[NightlyRunResult]
    missed: str | None
    beat_fault: str | None
    next: str | None
    cron: str | None
    time_zone: str | None


class Operations:
    """The verbs of operators; `connection` is that of the client."""

    connection: Connection

    @reported
    async def health(self, only: Collection[str] = ()) -> HealthResult:
        """Check the deployment, or what is named: the checks of `relabel health`, with what to do.

        Raises:
            InvalidInput: there is no such check.

        """
        names = (only,) if isinstance(only, str) else tuple(only)
        if unknown := [name for name in names if name not in CHECKS]:
            raise InvalidInput(f"unknown check {unknown[0]!r}; choose from {', '.join(CHECKS)}.")
        session = self.connection.session
        found = await check_health(session.settings, names, deployed=not self.connection.is_own)
        return result_of(health_answer(found, utc_time(await session.ledger.jobs.now())), HealthResult)

    @reported
    async def nightly_status(self) -> NightlyStatusResult:
        """Return how the nightly runs stand."""
        session = self.connection.session
        facts = nightly_facts(session.settings, await nightly_status(session))
        return result_of(_named("nightly_status", facts), NightlyStatusResult)

    @reported
    async def nightly_next(self, number: int = 5) -> list[NightlyDue]:
        """Return when the next runs are due.

        Raises:
            SettingsError: nothing is scheduled.

        """
        due = next_runs(self.connection.session.settings, number)
        return [NightlyDue(date=date, at=utc_time(at)) for date, at in due]

    @reported
    async def nightly_run(self, *, again: bool = False, wait: bool = False) -> NightlyRunResult:
        """Let the workers that have the inbox take its files now, as the run that was due last; `wait` for its end.

        Raises:
            WrongState: another run is open, or the date had its run; `again` takes what is new since.
            SettingsError: there are no deployed workers.

        """
        session = self.connection.session
        if self.connection.is_own:
            raise SettingsError("RELABEL_REDIS__URL is not set, so there are no deployed workers; `run` the files.")
        run = await begin_run(session, again=again)
        if wait:
            run = await follow_run(session.ledger, run.night.date)
        return result_of(_named("nightly_run", run_facts(run)), NightlyRunResult)

    @reported
    async def probe(self, completion_id: str) -> Behaviour | None:
        """Find out on a completion how the service updates, and restore it, whatever happens.

        For a few seconds one of its keys is changed, then left out. Returns None where an earlier probe was killed, of
        which the completion is restored instead.

        Raises:
            InvalidInput: the completion cannot be used; nothing was changed.
            Unreachable: the API cannot be used; nothing was changed.
            ProbeFailed: the probe ended early; the completion is restored.
            CompletionNotRestored: it could not be restored; the error holds what it held.

        """
        require_api_key(self.connection.session.settings)
        return await probe(self.connection.session, completion_id, lambda _: None, asyncio.Event())


def _named(name: str, facts: dict[str, object]) -> dict[str, object]:
    return {"object": name} | facts
