"""`relabel run`: everything in one process tree, from the file to the summary."""

from __future__ import annotations

import asyncio
import functools
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import click
from pydantic import SecretStr
from rich.console import Console
from rich.text import Text

from cli.as_json import print_json
from cli.complaint import Unreachable, WrongUse
from cli.door import ledger_of, pass_settings, server_for
from cli.exit_codes import INTERRUPTED, exit_code_of
from cli.order import Asked, checked_file, order_options, submit_checked, tell_existing
from cli.progress import follow
from cli.summary import print_summary
from cli.worker_process import WorkerProcess, worker_process
from config.settings import Settings
from ledger.embedded import EmbeddedServer
from ledger.job import Job, JobState
from ledger.ledger import Ledger
from producer.check import Checked
from sandbox import Sandbox, SandboxOptions
from tasks.factory import make_app
from tasks.preflight import trouble_with_api
from tasks.shard import announce

INTERRUPTED_CODE = "interrupted"
SANDBOX_KEY = SecretStr("sandbox")
"""Sent to the bundled API, so that the real key never goes there."""


@click.command("run")
@order_options
@click.option("--sandbox", is_flag=True, help="Rehearse against the bundled API; nothing leaves this machine.")
@click.option("--resume", metavar="JOB", help="Go on with a job that was interrupted or paused, instead of FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON at the end.")
@pass_settings
def run_command(settings: Settings, *, asked: Asked, sandbox: bool, resume: str | None, as_json: bool) -> int:
    """Apply FILE to the stored chat completions, all in one process tree.

    Brings its own Redis server unless RELABEL_REDIS__URL names one, and its own workers. Ctrl-C lets the rows in
    flight end and leaves a job that --resume goes on with; a second Ctrl-C ends at once.

    \b
    Examples:
      relabel run --sandbox examples/relabel.csv
      OPENAI_API_KEY=... relabel run patches.jsonl.gz --rate 600/m
      relabel run --resume 20261123-205318-c81e
    """
    if bool(asked.file) == bool(resume):
        raise click.UsageError("Give either FILE or --resume JOB.")
    if settings.openai_api_key is None and not sandbox:
        raise WrongUse("OPENAI_API_KEY is not set; set it, or rehearse with --sandbox.")
    console = Console(stderr=True)
    with _checked(asked, resume, console) as checked, server_for(settings) as (reachable, server):
        run = Run(reachable, server, console, asked=asked, as_json=as_json)
        try:
            return asyncio.run(run.carry_out(checked, resume, sandbox=sandbox))
        except asyncio.CancelledError:
            return INTERRUPTED


@contextmanager
def _checked(asked: Asked, resume: str | None, console: Console) -> Iterator[Checked | None]:
    if resume:
        yield None
        return
    with checked_file(asked, console) as checked:
        yield checked


class Run:
    """One `relabel run`: the job, its worker, and the person who may press Ctrl-C."""

    def __init__(
        self, settings: Settings, server: EmbeddedServer | None, console: Console, *, asked: Asked, as_json: bool
    ) -> None:
        self._settings = settings
        self._server = server
        self._console = console
        self._asked = asked
        self._as_json = as_json
        self._interrupted = asyncio.Event()
        self._begun = False

    async def carry_out(self, checked: Checked | None, resume: str | None, *, sandbox: bool) -> int:
        """Submit or resume the job, work on it to its end, and tell how it went; give the exit code."""
        self._listen_for_signals()
        async with ledger_of(self._settings) as ledger:
            if self._server is not None and self._server.started:
                await _pause_orphans(ledger)
            async with AsyncExitStack() as stack:
                if sandbox:
                    target = (await ledger.jobs.get(resume)).spec.target if resume else None
                    self._settings = await stack.enter_async_context(_sandboxed(self._settings, target))
                await self._check_api()
                self._begun = True
                job_id = await self._resume(ledger, resume) if resume else await self._submit(ledger, checked)
                job = await self._work(ledger, job_id)
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

    async def _submit(self, ledger: Ledger, checked: Checked | None) -> str:
        assert checked is not None  # noqa: S101 - without --resume there is a file
        send = functools.partial(announce, make_app(self._settings))
        submitted = await submit_checked(checked, self._asked, self._settings, ledger=ledger, announce=send)
        if submitted.existed:
            tell_existing(submitted.job_id, self._console)
            await ledger.jobs.resume(submitted.job_id)
        self._console.print(Text(f"Job {submitted.job_id}"))
        return submitted.job_id

    async def _resume(self, ledger: Ledger, job_id: str) -> str:
        had = await ledger.jobs.resume(job_id)
        if had.ended:
            self._console.print(Text(f"Job {job_id} had ended already: {had}."))
        return job_id

    async def _work(self, ledger: Ledger, job_id: str) -> Job:
        job = await ledger.jobs.get(job_id)
        if job.state is not JobState.RUNNING:
            return job
        keep_open = (self._server.lock_fd,) if self._server else ()
        async with worker_process(self._settings, keep_open=keep_open) as worker:
            await self._follow(ledger, job_id, worker)
            if self._interrupted.is_set():
                self._console.print(Text("Stopping: the rows in flight end first. Ctrl-C again stops at once."))
                reason = f"interrupted; go on with `relabel run --resume {job_id}`"
                await ledger.jobs.pause(job_id, code=INTERRUPTED_CODE, reason=reason)
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
            await _end(tasks)
        for task in done:
            task.result()

    async def _tell(self, ledger: Ledger, job: Job) -> int:
        await print_summary(ledger, job, self._console, after_follow=not self._interrupted.is_set())
        if self._as_json:
            print_json(job)
        return INTERRUPTED if self._interrupted.is_set() and not job.state.ended else exit_code_of(job)


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel until all have ended: before Python 3.12 redis-py may swallow a cancellation (python/cpython#86296)."""
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=0.1)


@asynccontextmanager
async def _sandboxed(settings: Settings, target: str | None) -> AsyncIterator[Settings]:
    """Serve the bundled API, at the address of an earlier rehearsal where one is resumed."""
    port = (urlsplit(target).port or 0) if target else 0
    async with Sandbox(SandboxOptions(accept_any_id=True), port=port) as sandbox:
        yield settings.model_copy(update={"openai_base_url": sandbox.base_url, "openai_api_key": SANDBOX_KEY})


async def _pause_orphans(ledger: Ledger) -> None:
    """Put down the jobs of earlier runs that were killed: a new run carries out its own job only."""
    for job_id in await ledger.jobs.active():
        reason = f"its `relabel run` ended in mid-job; go on with `relabel run --resume {job_id}`"
        await ledger.jobs.pause(job_id, code=INTERRUPTED_CODE, reason=reason)
