"""relabel for programs without an event loop, and for notebooks: `with relabel.connect() as client`.

The same verbs as in `relabel.aio`, carried out on a loop in a thread of its own.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator
from datetime import datetime
from typing import Any, Literal, Self, TypeVar, Unpack, overload

from relabel import aio, job_handle
from relabel.arguments import (
    ApplyArguments,
    DerivedArguments,
    PlanArguments,
    RunArguments,
    SubmitArguments,
    VerifyArguments,
)
from relabel.flat_rows import FlatRow
from relabel.input_rows import Input
from relabel.job_status import JobStatus, LogEntry
from relabel.loop_thread import LoopThread
from relabel.progress_line import progress_of
from relabel.rate import RateResult
from relabel.results import CompletionHistory, PreviewResult
from relabel.selected_rows import PlanSelectionArguments, SelectArguments, SelectedRows
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


class Job:
    """A job. Its methods are those of `job_handle.Job`."""

    def __init__(self, job: job_handle.Job, thread: LoopThread) -> None:
        self._job = job
        self._thread = thread

    def __repr__(self) -> str:
        return repr(self._job)

    @property
    def job_id(self) -> str:
        """The whole id."""
        return self._job.job_id

    @property
    def existed(self) -> bool:
        """Whether what was submitted had been submitted before, as this job."""
        return self._job.existed

    def status(self) -> JobStatus:
        """Return the job as it stands."""
        return self._run(self._job.status())

    def watch(self) -> Iterator[JobStatus]:
        """Yield the job twice a second until it has ended, or waits for somebody."""
        return self._iterate(self._job.watch())

    def wait(
        self, *, progress: bool | Callable[[JobStatus], object] = False, timeout: float | None = None
    ) -> JobStatus:
        """Wait until the job has ended, or waits for somebody, and return it as it then stands.

        `progress=True` draws a line; a function gets the job at most twice a second, in this thread. Ctrl-C ends the
        wait, and the job goes on.
        """
        show = progress_of(progress)
        try:
            for status in self._iterate(self._job.watch(timeout)):
                show(status)
        except KeyboardInterrupt as interrupt:
            interrupt.add_note(f"Only the wait ended: job {self.job_id} goes on. {_HOW_TO_GO_ON}")
            raise
        return self.status()

    def rows(self, outcome: str | Collection[str] = ()) -> Iterator[FlatRow]:
        """Yield the rows, those of some outcomes where they are named, as flat mappings."""
        for page in self._iterate(self._job.row_pages(outcome)):
            yield from page

    def report(
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
        self._run(self._job.report(path, outcome=outcome, format=format, diff=diff, bom=bom, pace=pace))

    def receipt(self) -> dict[str, Any]:
        """Return what proves an ended job to others: its counts, its digests, its last verification."""
        return self._run(self._job.receipt())

    def log(self) -> list[LogEntry]:
        """Return who changed the job, when and why, the oldest change first."""
        return self._run(self._job.log())

    def pause(self, reason: str = "") -> JobStatus:
        """Pause the job: no new row starts, rows in flight end."""
        return self._run(self._job.pause(reason))

    def resume(self) -> JobStatus:
        """Let workers go on with a paused or held job: the client's own, where it has no others."""
        return self._run(self._job.resume())

    def approve(self, digest: str | None = None) -> JobStatus:
        """Let the job run, which somebody else submitted; with a digest only where its `approval_digest` is that."""
        return self._run(self._job.approve(digest))

    def cancel(self, reason: str = "") -> JobStatus:
        """End the job: rows that are done stay so, the others end as cancelled."""
        return self._run(self._job.cancel(reason))

    def set_rate(self, per_minute: float | None) -> JobStatus:
        """Slow the job down to so many requests a minute; None lets only the shared rate count."""
        return self._run(self._job.set_rate(per_minute))

    def undo(
        self, *, keys: Collection[str] | None = None, force: bool = False, **options: Unpack[DerivedArguments]
    ) -> Job:
        """Restore what the job changed, as a new job: some keys only, with `force` also what others changed since."""
        return self._made(self._job.undo(keys=keys, force=force, **options))

    def retry(
        self,
        *,
        codes: Collection[str] | None = None,
        all: bool = False,  # noqa: A002 - as the option is called
        **options: Unpack[DerivedArguments],
    ) -> Job:
        """Try the failed rows that may work once more, as a new job; those of some codes, or all of them."""
        return self._made(self._job.retry(codes=codes, all=all, **options))

    def plan(self, outcome: str | Collection[str] = "drifted", **options: Unpack[PlanArguments]) -> Job:
        """Plan the rows that ended so once more, with the values that they meant."""
        return self._made(self._job.plan(outcome, **options))

    def apply(self, **options: Unpack[ApplyArguments]) -> Job:
        """Make exactly the changes that this plan shows, as a new job, or return the job that does so already."""
        return self._made(self._job.apply(**options))

    def verify(self, **options: Unpack[VerifyArguments]) -> Job:
        """Read the rows of the job again and compare them with what it left, as a job that changes nothing."""
        return self._made(self._job.verify(**options))

    def _made(self, coroutine: Coroutine[Any, Any, job_handle.Job]) -> Job:
        return Job(self._run(coroutine), self._thread)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._thread.run(coroutine)

    def _iterate(self, values: AsyncIterator[T]) -> Iterator[T]:
        return self._thread.iterate(values)


_HOW_TO_GO_ON = "`wait()` waits again; `cancel()` ends it; where this client brought the worker, `close()` pauses it."
