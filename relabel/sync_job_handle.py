"""A job for programs without an event loop: the methods of `relabel.job_handle.Job`, carried out on another thread."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator
from typing import Any, Literal, TypeVar, Unpack

from relabel import job_handle
from relabel.arguments import (
    ApplyArguments,
    DerivedArguments,
    PlanArguments,
    VerifyArguments,
)
from relabel.flat_rows import FlatRow
from relabel.job_status import JobStatus, LogEntry
from relabel.loop_thread import LoopThread
from relabel.progress_line import progress_of

T = TypeVar("T")


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
