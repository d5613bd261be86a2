"""All parts together: a private Redis, the API's stand-in in this process, workers, and a door to the ledger."""

from __future__ import annotations

import contextlib
import functools
import shutil
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from celery import Celery

from config.settings import Settings
from ledger.connect import new_client
from ledger.errors import NoSuchJob
from ledger.job import Job, JobState
from ledger.keys import JobKeys
from ledger.ledger import Ledger
from producer.check import check_rows
from producer.submit import JobRequest, Submitted, submit
from sandbox import Sandbox, SandboxOptions
from sandbox.log import Entry
from tasks.announce import announce
from tasks.celery_app import make_app
from tests.harness.redis_server import PrivateRedis
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until
from tests.harness.worker_process import WorkerProcess

KEY = "sk-canary-3f9d1c7a5b"
"""The key that workers are given: it must turn up nowhere."""
ALONE = ("--without-mingle", "--without-gossip", "--without-heartbeat")
"""Options that switch off what Celery's workers say among each other."""
END_S = 120.0
"""Bound of a job's end where a test promises nothing shorter."""


def settings_for(redis_url: str, base_url: str, **groups: Any) -> Settings:
    """Settings of a worker that may go fast; `groups` override them."""
    given: dict[str, Any] = {
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": base_url,
        "redis": {"url": redis_url},
        "rate": {"per_minute": 60_000},
        "worker": {"children": 2, "in_flight": 16},
    }
    for name, value in groups.items():
        given[name] = given.get(name, {}) | value if isinstance(value, dict) else value
    return Settings(_env_file=None, **given)


class Cluster:
    """What a fault test breaks. Everything that it started ends with it."""

    def __init__(self, folder: Path, *, keep_logs: Path, **options: Any) -> None:
        self._stack = AsyncExitStack()
        self._folder = folder
        self._keep_logs = keep_logs
        self._apps: list[Celery] = []
        self.redis = PrivateRedis(folder)
        self.sandbox = Sandbox(SandboxOptions(**{"api_key": KEY} | options))
        self.workers: list[WorkerProcess] = []

    async def __aenter__(self) -> Self:
        self._stack.enter_context(self.redis)
        await self._stack.enter_async_context(self.sandbox)
        self.ledger = Ledger(new_client(self.redis.url))
        self._stack.push_async_callback(self.ledger.redis.aclose)
        self.app = self.new_app(settings_for(self.redis.url, self.sandbox.base_url))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.kill()
            shutil.copy(worker.log, self._keep_logs)
        for app in self._apps:
            app.pool.force_close_all()
            app.close()
        await self._stack.aclose()

    def start_worker(
        self,
        *,
        redis_url: str | None = None,
        base_url: str | None = None,
        options: Sequence[str] = ALONE,
        **groups: Any,
    ) -> WorkerProcess:
        """Start a worker without waiting for it; unless asked, it has no chatter with others."""
        settings = settings_for(redis_url or self.redis.url, base_url or self.sandbox.base_url, **groups)
        worker = WorkerProcess(settings, name=f"w{len(self.workers)}", folder=self._folder, options=options)
        self.workers.append(worker)
        return worker

    async def worker(self, **given: Any) -> WorkerProcess:
        """Start a worker and wait until it takes messages."""
        worker = self.start_worker(**given)
        await worker.ready()
        return worker

    async def two_workers(self, **given: Any) -> list[WorkerProcess]:
        """Start two workers and wait until both take messages."""
        workers = [self.start_worker(**given), self.start_worker(**given)]
        for worker in workers:
            await worker.ready()
        return workers

    async def submit(
        self, rows: PatchRows, *, shard_rows: int = 50, load: bool = True, target: str | None = None, **order: Any
    ) -> Submitted:
        """Submit rows as the command line does, once the API has the completions."""
        if load:
            self.sandbox.store.load(rows.before)
        wanted = JobRequest("test", rows.mode, True, target or self.sandbox.base_url, shard_rows, 3600.0)
        with check_rows(rows, mode=rows.mode, spool_dir=self._folder) as checked:
            send = functools.partial(announce, self.app)
            return await submit(checked, wanted._replace(**order), ledger=self.ledger, announce=send)

    async def start_job(self, rows: PatchRows, **given: Any) -> str:
        """Submit rows and give the job's id."""
        return (await self.submit(rows, **given)).job_id

    async def reconnect(self) -> None:
        """Drop the connections that a restart of Redis has cut."""
        await self.ledger.redis.connection_pool.disconnect()

    async def job(self, job_id: str) -> Job | None:
        """The job as it stands, None where it is not there."""
        try:
            return await self.ledger.jobs.get(job_id)
        except NoSuchJob:
            return None

    async def settled(self, job_id: str, rows: int, *, within: float = END_S) -> Job:
        """Wait until so many rows have ended."""

        async def so_many() -> Job | None:
            job = await self.job(job_id)
            return job if job is not None and job.counts.settled >= rows else None

        job = await wait_until(so_many, within=within, what=f"{rows} rows are settled")
        assert job is not None
        return job

    async def in_state(self, job_id: str, state: JobState, *, within: float = END_S) -> Job:
        """Wait until the job is in the state."""

        async def is_there() -> Job | None:
            job = await self.job(job_id)
            return job if job is not None and job.state is state else None

        try:
            job = await wait_until(is_there, within=within, what=f"the job is {state}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {await self.job(job_id)}") from None
        assert job is not None
        return job

    async def finished(self, job_id: str, *, within: float = END_S) -> Job:
        """Wait until the job has finished."""
        return await self.in_state(job_id, JobState.FINISHED, within=within)

    async def put_down(self, job_id: str) -> None:
        """Wait until no worker is at the job."""

        async def nobody() -> bool:
            return not await self.owners(job_id)

        await wait_until(nobody, within=20, what="no worker is at the job")

    async def owners(self, job_id: str) -> dict[int, tuple[int, str]]:
        """Who holds a lease on which shard: the process id, and the whole name."""
        raw = await self.ledger.redis.hgetall(JobKeys(job_id).owners)
        names = {int(shard): owner.decode() for shard, owner in raw.items()}
        return {shard: (int(name.rpartition(":")[2].partition("-")[0]), name) for shard, name in names.items()}

    async def kill_at_work(self, worker: WorkerProcess, job_id: str) -> dict[int, tuple[int, str]]:
        """SIGKILL the children of a worker that hold leases of the job; give their leases.

        A child that is only just starting is left alone: Celery's worker ends when one of those dies.
        """
        children = {child.pid: child for child in worker.children()}
        held = {shard: owner for shard, owner in (await self.owners(job_id)).items() if owner[0] in children}
        for pid, _ in held.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                children[pid].kill()
        return held

    def requests_since(self, number: int) -> list[Entry]:
        """What the API has been asked since it had been asked so much."""
        return self.sandbox.log.since(number)

    @property
    def asked(self) -> int:
        """How much the API has been asked."""
        return self.sandbox.log.total

    def new_app(self, settings: Settings) -> Celery:
        """An application to announce with, closed at the end."""
        app = make_app(settings)
        self._apps.append(app)
        return app


class StopWatch:
    """Measures how long the API has not been asked anything, and how much it was asked since the watch was started."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._began = self._asked = cluster.asked
        self._since = time.monotonic()

    @property
    def asked(self) -> int:
        """Requests since the start: at a known rate they tell how long it went on, however slow the machine is."""
        return self._cluster.asked - self._began

    def quiet_for(self, seconds: float) -> bool:
        """Whether nothing was asked for so long."""
        if self._cluster.asked != self._asked:
            self._asked, self._since = self._cluster.asked, time.monotonic()
        return time.monotonic() - self._since >= seconds
