"""relabel for asynchronous programs: `async with relabel.aio.connect() as client`.

The methods are the verbs of the command line, their arguments its options; results are those of the HTTP API.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from ledger.job import JobState
from relabel.arguments import PlanArguments, RunArguments, SubmitArguments, file_options, moment_of
from relabel.connection import Connection, open_connection, reported, said_to_programs
from relabel.errors import InvalidInput
from relabel.history import history, history_facts
from relabel.input_rows import AsyncInput, Input, check_input, in_thread
from relabel.job_handle import Job
from relabel.job_reference import find_job
from relabel.job_status import JobStatus
from relabel.jobs import JobFilter, list_jobs, seen_facts
from relabel.operations import Operations
from relabel.plan import plan_request
from relabel.preview import preview_facts
from relabel.rate import RateResult, read_rate, reset_shared_rate, set_shared_rate
from relabel.results import CompletionHistory, PreviewResult, result_of
from relabel.selected_rows import (
    PlanSelectionArguments,
    SelectArguments,
    SelectedRows,
    SelectionArguments,
    select_rows,
)
from relabel.session import Session
from relabel.submit import FileOptions, request_for

if TYPE_CHECKING:
    from producer.checked import Checked

_STATES = {state.value.removeprefix("state "): state for state in JobState}


class Client(Operations):
    """The verbs, for the ledger that the settings name; made by `connect`."""

    def __init__(self, connection: Connection, stack: AsyncExitStack) -> None:
        self.connection = connection
        self._stack = stack

    async def aclose(self) -> None:
        """End the connection, and the server and the worker where they are the client's own; may be called twice.

        Jobs that the client's own worker carries out pause, and can be resumed later.
        """
        await self._stack.aclose()

    @overload
    async def submit(
        self, rows: AsyncInput, *, check: Literal[True], **options: Unpack[SubmitArguments]
    ) -> PreviewResult: ...

    @overload
    async def submit(
        self, rows: AsyncInput, *, check: Literal[False] = False, **options: Unpack[SubmitArguments]
    ) -> Job: ...

    async def submit(
        self, rows: AsyncInput, *, check: bool = False, **options: Unpack[SubmitArguments]
    ) -> Job | PreviewResult:
        """Submit files, pairs of an id and metadata, or a DataFrame as one job; with `check` return its preview only.

        An input that was submitted before is not submitted again: its job is returned.

        Raises:
            NeedsConfirmation: something is odd, or large; `confirm` takes the codes of the questions.
            RowsRejected: no row is valid, or with `strict` one is not.
            UnreadableFile: the input cannot be trusted as a whole.
            InvalidInput: an argument cannot be used.

        """
        checked, of = await self._check(rows, options)
        with checked:
            return await self.submit_input(checked, of, options, check=check)

    async def run(self, rows: AsyncInput, **options: Unpack[RunArguments]) -> Job:
        """Carry out files or rows by a worker of this client, and return the job once it has ended or waits.

        Raises:
            Unreachable: the API does not answer, or refuses the key.
            WorkerDied: the worker ended by itself, again and again.

        """
        checked, of = await self._check(rows, options)
        with checked:
            job = await self.run_input(checked, of, options)
        await job.wait()
        return job

    async def plan(self, rows: AsyncInput, **options: Unpack[PlanArguments]) -> Job:
        """Read what each completion holds and compute what would change, as a job that changes nothing."""
        checked, of = await self._check(rows, options, seen=True)
        with checked:
            return await self.plan_input(checked, of, options)

    @reported
    async def plan_selection(self, **options: Unpack[PlanSelectionArguments]) -> Job:
        """Let workers read the list of stored completions, and plan those that match, as one job.

        The program needs no API key, and waits for nothing; where it has no workers, its own reads.

        Raises:
            InvalidInput: an argument cannot be used, or nothing would change.

        """
        given: dict[str, Any] = dict(options)
        names = given.keys() & SelectionArguments.__annotations__
        asked = {name: given.pop(name) for name in sorted(names)}
        of = file_options(("selection",), **given)
        return Job(self.connection, await self.connection.plan_selection(asked, of))

    @reported
    async def submit_input(
        self, checked: Checked, of: FileOptions, options: Mapping[str, Any], *, check: bool
    ) -> Job | PreviewResult:
        """Submit what was checked, or return its preview; otherwise as `submit`."""
        hold = bool(options.get("hold"))
        request = request_for(of, self._session.settings, by=self._session.user, hold=hold)
        here, confirm = self.connection.is_own and not hold, options.get("confirm", ())
        found = await self.connection.submit(checked, of, request, confirm=confirm, check=check, here=here)
        if found.submitted is None:
            return result_of({"object": "preview"} | preview_facts(found.preview), PreviewResult)
        return Job.of(self.connection, found)

    @reported
    async def run_input(self, checked: Checked, of: FileOptions, options: Mapping[str, Any]) -> Job:
        """Start the client's worker on what was checked; otherwise as `run`, but it does not wait."""
        request = request_for(of, self._session.settings, by=self._session.user)
        confirm = options.get("confirm", ())
        return Job.of(self.connection, await self.connection.submit(checked, of, request, confirm=confirm, here=True))

    @reported
    async def plan_input(self, checked: Checked, of: FileOptions, options: Mapping[str, Any]) -> Job:
        """Plan what was checked; otherwise as `plan`."""
        request = plan_request(of, self._session.settings, by=self._session.user)
        here, confirm = self.connection.is_own, options.get("confirm", ())
        return Job.of(self.connection, await self.connection.submit(checked, of, request, confirm=confirm, here=here))

    @reported
    async def job(self, reference: str) -> Job:
        """Return a job by its id, the beginning of one that no other has, or `last`: your latest one.

        Raises:
            NoSuchJob: there is no such job.
            InvalidInput: several jobs begin so.

        """
        return Job(self.connection, (await find_job(self._session, reference)).job_id)

    @reported
    async def jobs(
        self,
        *,
        limit: int = 20,
        state: Collection[str] = (),
        since: datetime | str | None = None,
        by: str = "",
        name: str = "",
        key: str = "",
    ) -> list[JobStatus]:
        """Return the latest jobs, the newest first, of those that are asked for as in `relabel jobs`."""
        wanted = JobFilter(_states(state), moment_of(since, await self._session.ledger.jobs.now()), by, name, key)
        return [_status(seen_facts(seen)) for seen in await list_jobs(self._session, limit, wanted)]

    @reported
    async def history(self, completion_id: str) -> CompletionHistory:
        """Return what changed a completion: when, by which job, from what to what, and what undid it."""
        facts = history_facts(await history(self._session, completion_id))
        return result_of({"object": "history"} | facts, CompletionHistory)

    @reported
    async def select(self, **options: Unpack[SelectArguments]) -> SelectedRows:
        """Read the list of stored completions, and return those that match with what each is to get.

        What is returned can be submitted and planned, or gone over as pairs. With `output` it is a file, too.

        Raises:
            InvalidInput: an argument cannot be used, or the file is there already.
            Unreachable: the API cannot be used; the same call goes on where this one ended.

        """
        return await select_rows(self._session, options)

    @reported
    async def rate(self) -> RateResult:
        """Return the shared rate: as set, in force, and why it is lower."""
        return await read_rate(self._session.settings, self._session.ledger)

    @reported
    async def set_rate(self, per_minute: float | None = None, *, burst: int | None = None) -> RateResult:
        """Set the shared rate for all workers, in requests a minute, until it is reset."""
        if per_minute is None and burst is None:
            raise InvalidInput("there is nothing to set; pass requests a minute, burst=, or both.")
        return await set_shared_rate(self._session, rate_per_minute=per_minute, burst=burst)

    @reported
    async def reset_rate(self) -> RateResult:
        """Let the workers' settings count again."""
        return await reset_shared_rate(self._session)

    async def _check(
        self, rows: AsyncInput, options: Mapping[str, Any], *, seen: bool = False
    ) -> tuple[Checked, FileOptions]:
        """Read and check an input in a thread: that may take long, and rows may be waited for."""
        given: Input = in_thread(rows, asyncio.get_running_loop()) if isinstance(rows, AsyncIterable) else rows
        return await asyncio.to_thread(self.check_input, given, options, seen=seen)

    @said_to_programs()
    def check_input(
        self, rows: Input, options: Mapping[str, Any], *, seen: bool = False
    ) -> tuple[Checked, FileOptions]:
        """Read and check an input in this thread; the caller closes what was checked.

        With `seen` the rows of a selection bring what it saw of each completion.
        """
        given = {name: value for name, value in options.items() if name not in _NOT_OF_FILES}
        if isinstance(rows, SelectedRows):
            of = file_options(("selection",), **given)
            return rows.check(of, seen=seen), of
        return check_input(rows, self._session.settings, given)

    @property
    def _session(self) -> Session:
        return self.connection.session


@asynccontextmanager
async def connect(
    *,
    redis_url: str | None = None,
    broker_url: str | None = None,
    openai_api_key: str | None = None,
    openai_base_url: str | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> AsyncIterator[Client]:
    """Yield a client for as long as the block runs.

    What is not given is read from the environment and `.env`, as the command line does. Where no Redis is named, the
    private server is started, and with the first job a worker; both end with the block.

    Raises:
        SettingsError: a setting is wrong.
        LedgerUnreachable: Redis is away, full, read-only or refuses the password.
        ServerNotStarted: the private server does not start.

    """
    client = await open_client(
        redis_url=redis_url,
        broker_url=broker_url,
        openai_api_key=openai_api_key,
        openai_base_url=openai_base_url,
        state_dir=state_dir,
    )
    try:
        yield client
    finally:
        await client.aclose()


async def open_client(**given: Any) -> Client:
    """Return a client, which the caller closes; otherwise as `connect`."""
    stack = AsyncExitStack()
    try:
        return Client(await open_connection(given, stack), stack)
    except BaseException:
        await stack.aclose()
        raise


_NOT_OF_FILES = frozenset({"hold", "confirm"})


def _states(words: Collection[str]) -> frozenset[JobState]:
    given = (words,) if isinstance(words, str) else words
    if unknown := sorted(set(given) - _STATES.keys()):
        raise InvalidInput(f"state {unknown[0]!r} is unknown; choose from {', '.join(_STATES)}.")
    return frozenset(_STATES[word] for word in given)


def _status(facts: dict[str, Any]) -> JobStatus:
    return result_of({"object": "job"} | facts, JobStatus)
