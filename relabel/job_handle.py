"""A job in the hands of an asynchronous program: its state, its rows, and what can be done with it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast

import msgspec

from config.canary import CanaryShare
from ledger.job import JobState
from relabel import control
from relabel.apply import ApplyOptions, PreparedApply, applicable_plan, prepare_apply
from relabel.approve import approve
from relabel.arguments import ApplyArguments, DerivedArguments, PlanArguments, VerifyArguments, file_options, rate_of
from relabel.connection import Connection, reported
from relabel.derived import DerivedOptions, Prepared, prepare_retry, prepare_undo
from relabel.errors import InvalidInput
from relabel.facts import job_facts
from relabel.flat_rows import FlatRow, flat_page, outcomes_of
from relabel.job_status import JobStatus, LogEntry
from relabel.jobs import job_log, see_job, seen_facts
from relabel.plan import prepare_plan
from relabel.progress_line import progress_of
from relabel.rate import set_job_rate
from relabel.receipt import make_receipt
from relabel.report import ReportOptions, job_report
from relabel.results import result_of
from relabel.session import Session
from relabel.snapshots import job_snapshots
from relabel.submit import FileOptions
from relabel.verify import prepare_verify
from report.whole_file import whole_file

if TYPE_CHECKING:
    from producer.submit import Submitted
    from relabel.submission import SubmittedInput

LOOK_EVERY_S = 0.5
"""How often a job is looked at: progress is shown at most twice a second."""
_OF_A_JOB = FileOptions(("rows",))


class Job:
    """A job by its id. `existed`: what was submitted had been submitted before, as this job."""

    def __init__(self, connection: Connection, job_id: str, *, existed: bool = False) -> None:
        self.connection = connection
        self.job_id = job_id
        self.existed = existed

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.job_id}>"

    @reported
    async def status(self) -> JobStatus:
        """Return the job as it stands."""
        facts = seen_facts(await see_job(self._session, self.job_id))
        return result_of({"object": "job"} | facts, JobStatus)

    async def watch(self, timeout: float | None = None) -> AsyncIterator[JobStatus]:  # noqa: ASYNC109 - as in `wait`
        """Yield the job twice a second until it has ended, or waits for somebody.

        Raises:
            TimeoutError: the seconds have passed, and the job goes on.
            WorkerDied: the client's own worker ended by itself, again and again.

        """
        snapshots = job_snapshots(self._session, self.job_id, every_s=LOOK_EVERY_S)
        deadline = None if timeout is None else time.monotonic() + timeout
        while (seen := await self._next(snapshots)) is not None:
            self.connection.worker.require_alive()
            if deadline is not None and seen.goes_on and time.monotonic() > deadline:
                raise TimeoutError(f"job {self.job_id} goes on after {timeout:g} s; wait() waits again.")
            yield result_of({"object": "job"} | job_facts(seen.job), JobStatus)

    async def wait(
        self,
        *,
        progress: bool | Callable[[JobStatus], object] = False,
        timeout: float | None = None,  # noqa: ASYNC109 - as callers know it
    ) -> JobStatus:
        """Wait until the job has ended, or waits for somebody, and return it as it then stands.

        `progress=True` draws a line; a function gets the job at most twice a second. Nothing is raised for rows that
        failed: `raise_for_failures` of the result does. What ends the wait leaves the job alone.

        Raises:
            TimeoutError: the seconds have passed, and the job goes on.

        """
        show = progress_of(progress)
        async for status in self.watch(timeout):
            show(status)
        return await self.status()

    async def rows(self, outcome: str | Collection[str] = ()) -> AsyncIterator[FlatRow]:
        """Yield the rows, those of some outcomes where they are named, as flat mappings.

        Raises:
            WrongState: the job is still being stored.
            RowsLost: rows of it are gone from Redis.

        """
        async for page in self.row_pages(outcome):
            for row in page:
                yield row

    async def row_pages(self, outcome: str | Collection[str] = ()) -> AsyncIterator[list[FlatRow]]:
        """Yield the rows in lists of up to a thousand; otherwise as `rows`."""
        outcomes = outcomes_of(outcome)
        rows, after = await self._page(outcomes, "")
        yield rows
        while after:
            rows, after = await self._page(outcomes, after)
            yield rows

    @reported
    async def report(
        self,
        path: str | os.PathLike[str],
        *,
        outcome: str | Collection[str] = (),
        format: Literal["csv", "jsonl"] | None = None,  # noqa: A002 - as the option is called
        diff: bool = False,
        bom: bool = False,
        pace: bool = False,
    ) -> None:
        """Write the report to a file, whole or not at all: what became of each row, or with `diff` what it changed.

        With `pace` it is how the job went over its life: the rows, requests and 429s in each stretch of time.
        """
        lines = await job_report(
            self._session, self.job_id, ReportOptions(outcomes_of(outcome), format, diff, bom, pace)
        )
        with whole_file(Path(path)) as write:
            async for line in lines:
                write(line)

    @reported
    async def receipt(self) -> dict[str, Any]:
        """Return what proves an ended job to others: its counts, its digests, its last verification."""
        return await make_receipt(self._session, self.job_id)

    @reported
    async def log(self) -> list[LogEntry]:
        """Return who changed the job, when and why, the oldest change first."""
        lines = await job_log(self._session, self.job_id)
        return [
            result_of({"id": f"{line.at:.6f}-{number}", **_builtins(line)}, LogEntry)
            for number, line in enumerate(lines)
        ]

    @reported
    async def pause(self, reason: str = "") -> JobStatus:
        """Pause the job: no new row starts, rows in flight end."""
        await control.pause(self._session, self.job_id, reason=reason)
        return await self.status()

    @reported
    async def resume(self) -> JobStatus:
        """Let workers go on with a paused or held job: the client's own, where it has no others."""
        await self.connection.carry_on(self.job_id)
        return await self.status()

    @reported
    async def approve(self, digest: str | None = None) -> JobStatus:
        """Let the job run, which somebody else submitted; with a digest only where its `approval_digest` is that.

        Raises:
            NotAnApprover: nobody vouches for the name of who asks (`RELABEL_APPROVAL__ALLOW_LOCAL`).
            OwnJob, OtherDigest: who asks has submitted it, or the job does something else.
            WrongState: it needs no approval, or does not wait for it any more.

        """
        approved = await approve(self._session, self.job_id, digest=digest)
        if self.connection.is_own and approved.job.state is JobState.RUNNING:
            await self.connection.carry_on(self.job_id)
        return await self.status()

    @reported
    async def cancel(self, reason: str = "") -> JobStatus:
        """End the job: rows that are done stay so, the others end as cancelled."""
        await control.cancel(self._session, self.job_id, reason=reason)
        return await self.status()

    @reported
    async def set_rate(self, per_minute: float | None) -> JobStatus:
        """Slow the job down to so many requests a minute; None lets only the shared rate count."""
        await set_job_rate(self._session, self.job_id, per_minute)
        return await self.status()

    @reported
    async def undo(
        self, *, keys: Collection[str] | None = None, force: bool = False, **options: Unpack[DerivedArguments]
    ) -> Job:
        """Restore what the job changed, as a new job: some keys only, with `force` also what others changed since."""
        only = None if keys is None else frozenset([keys] if isinstance(keys, str) else keys)
        derived = self._derived_options(options)
        return await self._derive(
            await prepare_undo(self._session, self.job_id, derived, keys=only, force=force), options
        )

    @reported
    async def retry(
        self,
        *,
        codes: Collection[str] | None = None,
        all: bool = False,  # noqa: A002 - as the option is called
        **options: Unpack[DerivedArguments],
    ) -> Job:
        """Try the failed rows that may work once more, as a new job; those of some codes, or all of them."""
        named = None if codes is None else frozenset([codes] if isinstance(codes, str) else codes)
        derived = self._derived_options(options)
        return await self._derive(
            await prepare_retry(self._session, self.job_id, derived, codes=named, everything=all), options
        )

    @reported
    async def plan(self, outcome: str | Collection[str] = "drifted", **options: Unpack[PlanArguments]) -> Job:
        """Plan the rows that ended so once more, with the values that they meant."""
        files = file_options(("rows",), **options)
        return await self._derive(
            await prepare_plan(
                self._session, self.job_id, files, only=outcomes_of(outcome), here=self.connection.is_own
            ),
            options,
        )

    @reported
    async def apply(self, **options: Unpack[ApplyArguments]) -> Job:
        """Make exactly the changes that this plan shows, as a new job, or return the job that does so already.

        Raises:
            AlteredPlan: what is stored of the plan is not what it found.
            InvalidInput: this is no plan, nothing is left to apply, or it is more than `max_changes`.
            WrongState: the plan has not finished.

        """
        plan = await applicable_plan(self._session, self.job_id, here=self.connection.is_own)
        prepared = await prepare_apply(self._session, plan, _apply_options(options, here=self.connection.is_own))
        if isinstance(prepared, PreparedApply):
            return await self._derive(prepared, options)
        if self.connection.is_own and prepared.reason_code == control.INTERRUPTED_CODE:
            await self.connection.carry_on(prepared.spec.job_id)
        return Job(self.connection, prepared.spec.job_id, existed=True)

    @reported
    async def verify(self, **options: Unpack[VerifyArguments]) -> Job:
        """Read the rows of the job again and compare them with what it left, as a job that changes nothing."""
        return await self._derive(
            await prepare_verify(self._session, self.job_id, self._derived_options(options)), options
        )

    @property
    def _session(self) -> Session:
        return self.connection.session

    def _derived_options(self, options: DerivedArguments | VerifyArguments) -> DerivedOptions:
        rate, again = rate_of(options.get("rate")), bool(options.get("again"))
        return DerivedOptions(rate, options.get("name"), again=again, here=self.connection.is_own)

    async def _derive(self, prepared: Prepared | PreparedApply, options: Any) -> Job:
        here, confirm = self.connection.is_own, options.get("confirm", ())
        with prepared.checked as checked:
            found = await self.connection.submit(checked, _OF_A_JOB, prepared.request, confirm=confirm, here=here)
        return Job.of(self.connection, found)

    @classmethod
    def of(cls, connection: Connection, found: SubmittedInput) -> Job:
        """Return the job that was submitted."""
        submitted = cast("Submitted", found.submitted)  # None only of an input that is looked at
        return cls(connection, submitted.job_id, existed=submitted.existed)

    @reported
    async def _next(self, snapshots: AsyncIterator[Any]) -> Any:
        return await anext(snapshots, None)

    @reported
    async def _page(self, outcomes: frozenset[str], after: str) -> tuple[list[FlatRow], str]:
        return await flat_page(self._session, self.job_id, outcomes, after)


def _apply_options(options: ApplyArguments, *, here: bool) -> ApplyOptions:
    asked = options.get("canary")
    try:
        canary = None if asked is None else CanaryShare.parse(str(asked))
    except ValueError as error:
        raise InvalidInput(f"canary={asked!r} is none; write a share of the rows like '1%', or a number.") from error
    rate, most = rate_of(options.get("rate")), options.get("max_changes")
    return ApplyOptions(rate, options.get("name"), canary, here=here, max_changes=most)


def _builtins(line: Any) -> dict[str, Any]:
    return dict(msgspec.to_builtins(line))
