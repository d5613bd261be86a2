"""Carries a job out in this process tree: its worker, its progress, and the person who may press Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from rich.console import Console

from cli.console import shown
from cli.control import pause_interrupted, resume
from cli.errors import CliError
from cli.exit_codes import INTERRUPTED, exit_code_of
from cli.output import print_json
from cli.progress import follow
from cli.session import ledger_of
from cli.summary import print_summary
from cli.worker_process import WorkerProcess, worker_process
from completions.preflight import trouble_with_api
from config.settings import Settings
from embedded.server import EmbeddedServer
from ledger.cancellation import end_tasks
from ledger.job import Job, JobState
from ledger.ledger import Ledger
from relabel.errors import Unreachable

MakeJob = Callable[[Ledger, Settings], Awaitable[str]]
"""Submits or resumes the job to carry out, and gives its id."""
Around = Callable[[Ledger, Settings], AbstractAsyncContextManager[Settings]]
"""Sets something up around the work, and gives the settings to work with."""


def carry_out_job(
    settings: Settings,
    make_job: MakeJob,
    *,
    server: EmbeddedServer | None,
    console: Console,
    as_json: bool,
    around: Around | None = None,
) -> int:
    """Make a job, work on it to its end in this process tree, and tell how it went; give the exit code."""
    run = Run(settings, server, console, as_json=as_json)
    try:
        return asyncio.run(run.carry_out(make_job, around))
    except asyncio.CancelledError:
        return INTERRUPTED


def resume_job(job_id: str, console: Console) -> MakeJob:
    """Go on with a job that was put down."""

    async def make(ledger: Ledger, settings: Settings) -> str:
        _refuse_other_target(await ledger.jobs.get(job_id), settings)
        had = await resume(ledger, job_id)
        if had.ended:
            console.print(shown(f"Job {job_id} had ended already: {had}."))
        return job_id

    return make


def _refuse_other_target(job: Job, settings: Settings) -> None:
    """Refuse to take up a job that is for another URL: its worker would only pause it again."""
    job_id, target = job.spec.job_id, job.spec.target
    if not job.state.ended and target != settings.openai_base_url:
        raise CliError(
            f"job {job_id} is for {target}, and OPENAI_BASE_URL is {settings.openai_base_url}; set it to the former. "
            f"A job keeps its URL: if that is the wrong one, `relabel cancel {job_id}` and submit the rows again."
        )


async def pause_orphans(ledger: Ledger, server: EmbeddedServer | None) -> None:
    """Put down the jobs of earlier runs that were killed, where this command is the only one at the server."""
    if server is None or not server.started:
        return
    for job_id in await ledger.jobs.active():
        await pause_interrupted(ledger, job_id, "its `relabel run` ended in mid-job")


class Run:
    """One job that is carried out here."""

    def __init__(self, settings: Settings, server: EmbeddedServer | None, console: Console, *, as_json: bool) -> None:
        self._settings = settings
        self._server = server
        self._console = console
        self._as_json = as_json
        self._interrupted = asyncio.Event()
        self._begun = False

    async def carry_out(self, make_job: MakeJob, around: Around | None) -> int:
        """Make the job, work on it to its end, and tell how it went; give the exit code."""
        self._listen_for_signals()
        async with ledger_of(self._settings) as ledger:
            await pause_orphans(ledger, self._server)
            async with AsyncExitStack() as stack:
                if around is not None:
                    self._settings = await stack.enter_async_context(around(ledger, self._settings))
                await self._check_api()
                self._begun = True
                job = await self._work(ledger, await make_job(ledger, self._settings))
            return await self._tell(ledger, job)

    def _listen_for_signals(self) -> None:
        loop, main = asyncio.get_running_loop(), asyncio.current_task()

        def on_signal() -> None:
            if main is not None and (self._interrupted.is_set() or not self._begun):
                main.cancel()
            self._interrupted.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)

    async def _check_api(self) -> None:
        if trouble := await trouble_with_api(self._settings):
            where = self._settings.openai_base_url
            raise Unreachable(f"the API cannot be used: {trouble}. Nothing was sent; it was asked at {where}.")

    async def _work(self, ledger: Ledger, job_id: str) -> Job:
        job = await ledger.jobs.get(job_id)
        if job.state is not JobState.RUNNING:
            return job
        keep_open = (self._server.lock_fd,) if self._server else ()
        async with worker_process(self._settings, keep_open=keep_open) as worker:
            await self._follow(ledger, job_id, worker)
            if self._interrupted.is_set():
                later = f"`relabel run --resume {job_id}` goes on later"
                what = f"Stopping: the rows in flight end first; {later}. Ctrl-C again stops at once."
                self._console.print(shown(what))
                await pause_interrupted(ledger, job_id, "interrupted")
        return await ledger.jobs.get(job_id)

    async def _follow(self, ledger: Ledger, job_id: str, worker: WorkerProcess) -> None:
        rate = self._settings.rate.per_minute
        tasks = [
            asyncio.create_task(follow(ledger, job_id, console=self._console, shared_rate=rate)),
            asyncio.create_task(worker.watch()),
            asyncio.create_task(self._interrupted.wait()),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end_tasks(tasks)
        for task in done:
            task.result()

    async def _tell(self, ledger: Ledger, job: Job) -> int:
        await print_summary(ledger, job, self._console, after_follow=not self._interrupted.is_set())
        if self._as_json:
            print_json(job)
        return INTERRUPTED if self._interrupted.is_set() and not job.state.ended else exit_code_of(job)
