"""relabel for programs without an event loop, and for notebooks: `with relabel.connect() as client`.

The same verbs as in `relabel.aio`, carried out on a loop in a thread of its own.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Collection, Coroutine
from datetime import datetime
from typing import Any, Literal, Self, TypeVar, Unpack, overload

from relabel import aio, job_handle
from relabel.arguments import (
    PlanArguments,
    RunArguments,
    SubmitArguments,
)
from relabel.input_rows import Input
from relabel.job_status import JobStatus
from relabel.loop_thread import LoopThread
from relabel.rate import RateResult
from relabel.results import CompletionHistory, PreviewResult
from relabel.selected_rows import PlanSelectionArguments, SelectArguments, SelectedRows
from relabel.sync_job_handle import Job
from relabel.sync_operations import Operations

T = TypeVar("T")


def connect(
    *,
    redis_url: str | None = None,
    broker_url: str | None = None,
    openai_api_key: str | None = None,
    openai_base_url: str | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Client:
    """Return a client, to be closed; as a context manager it closes itself. The arguments are those of `aio.connect`.

    Raises:
        SettingsError: a setting is wrong.
        LedgerUnreachable: Redis is away, full, read-only or refuses the password.
        ServerNotStarted: the private server does not start.

    """
    thread = LoopThread()
    try:
        opened = aio.open_client(
            redis_url=redis_url,
            broker_url=broker_url,
            openai_api_key=openai_api_key,
            openai_base_url=openai_base_url,
            state_dir=state_dir,
        )
        return Client(thread.run(opened), thread)
    except BaseException:
        thread.close()
        raise


class Client(Operations):
    """The verbs, for the ledger that the settings name; made by `connect`. Its methods are those of `aio.Client`."""

    def __init__(self, client: aio.Client, thread: LoopThread) -> None:
        self._client = client
        self._thread = thread
        self._closed = False
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, and the server and the worker where they are the client's own; may be called twice.

        Jobs that the client's own worker carries out pause, and can be resumed later.
        """
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        try:
            self._thread.run(self._client.aclose())
        finally:
            self._thread.close()

    @overload
    def submit(self, rows: Input, *, check: Literal[True], **options: Unpack[SubmitArguments]) -> PreviewResult: ...

    @overload
    def submit(self, rows: Input, *, check: Literal[False] = False, **options: Unpack[SubmitArguments]) -> Job: ...

    def submit(self, rows: Input, *, check: bool = False, **options: Unpack[SubmitArguments]) -> Job | PreviewResult:
        """Submit files, pairs of an id and metadata, or a DataFrame as one job; with `check` only return its preview.

        An input that was submitted before is not submitted again: its job is returned.

        Raises:
            NeedsConfirmation: something is odd, or large; `confirm` takes the codes of the questions.
            RowsRejected: no row is valid, or with `strict` one is not.
            UnreadableFile: the input cannot be trusted as a whole.
            InvalidInput: an argument cannot be used.

        """
        checked, of = self._client.check_input(rows, options)
        with checked:
            found = self._run(self._client.submit_input(checked, of, options, check=check))
        return found if isinstance(found, PreviewResult) else self._job(found)

    def run(self, rows: Input, **options: Unpack[RunArguments]) -> Job:
        """Carry out files or rows by a worker of this client, and return the job once it has ended or waits."""
        checked, of = self._client.check_input(rows, options)
        with checked:
            job = self._job(self._run(self._client.run_input(checked, of, options)))
        job.wait()
        return job

    def plan(self, rows: Input, **options: Unpack[PlanArguments]) -> Job:
        """Read what each completion holds and compute what would change, as a job that changes nothing."""
        checked, of = self._client.check_input(rows, options, seen=True)
        with checked:
            return self._job(self._run(self._client.plan_input(checked, of, options)))

    def plan_selection(self, **options: Unpack[PlanSelectionArguments]) -> Job:
        """Let workers read the list of stored completions, and plan those that match, as one job."""
        return self._job(self._run(self._client.plan_selection(**options)))

    def job(self, reference: str) -> Job:
        """Return a job by its id, the beginning of one that no other has, or `last`: your latest one."""
        return self._job(self._run(self._client.job(reference)))

    def jobs(
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
        return self._run(self._client.jobs(limit=limit, state=state, since=since, by=by, name=name, key=key))

    def history(self, completion_id: str) -> CompletionHistory:
        """Return what changed a completion: when, by which job, from what to what, and what undid it."""
        return self._run(self._client.history(completion_id))

    def select(self, **options: Unpack[SelectArguments]) -> SelectedRows:
        """Read the list of stored completions, and return those that match with what each is to get."""
        return self._run(self._client.select(**options))

    def rate(self) -> RateResult:
        """Return the shared rate: as set, in force, and why it is lower."""
        return self._run(self._client.rate())

    def set_rate(self, per_minute: float | None = None, *, burst: int | None = None) -> RateResult:
        """Set the shared rate for all workers, in requests a minute, until it is reset."""
        return self._run(self._client.set_rate(per_minute, burst=burst))

    def reset_rate(self) -> RateResult:
        """Let the workers' settings count again."""
        return self._run(self._client.reset_rate())

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._thread.run(coroutine)

    def _job(self, job: job_handle.Job) -> Job:
        return Job(job, self._thread)
