"""A simulated process: its loop and clocks, its ways to Redis and the service, and what a worker does in it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from completions.client import CompletionsApi
from completions.credential import Credential
from completions.target import Target
from ledger.clock import Clocks
from ledger.connect import AWAY, new_client
from ledger.errors import NoSuchJob, StateLost
from ledger.job import Job
from ledger.ledger import Ledger
from ledger.loss_detector import LossDetector
from ledger.shards import LeaseAnswer, LeasedShard, ReleaseAnswer
from ratelimit.breaker import CircuitBreaker
from ratelimit.limiter import RateLimiter
from ratelimit.limits import Limit, Limits, SharedLimit
from tests.simulation.link import Command, SimulatedConnection
from tests.simulation.listing import LIST, Held, new_reader
from tests.simulation.loop import SimulatedLoop
from tests.simulation.service import BASE_URL, TIMEOUT_S, Request, Transport
from worker.archiver import Archiver
from worker.checked_api import KnownCompletions
from worker.job_end import end_turn
from worker.redis_outage import retry_while_unavailable
from worker.rescue import rescue_all
from worker.service import Service
from worker.shard_run import Bounds, ProcessResources, ShardRun

LIMIT = SharedLimit("relabel:limit:simulation", Limit(10_000.0, 1_000))
"""A rate that holds nobody back: the limiter has tests of its own."""
TURN_S, ATTEMPTS, IN_FLIGHT = 30.0, 4, 2

END_ROUNDS = 100
"""Times that tasks are cancelled; some of them have to be more than once (`ledger.cancellation`)."""

Send = Callable[["Process", Command | Request], None]


class Process:
    """One process. `now` is the time of the world; `skew` is how far its wall clock is wrong, in seconds.

    `held` returns what a completion holds, as the list shows it.
    """

    def __init__(
        self,
        name: str,
        now: Callable[[], float],
        send: Send,
        announce: Callable[[str, int], None],
        held: Held = lambda _: {},
    ) -> None:
        self.name = name
        self._held = held
        self.skew = 0.0
        self.is_alive, self.is_frozen = True, False
        self.turn: asyncio.Task[None] | None = None
        self.tasks: list[asyncio.Task[Any]] = []
        self.suspended_at: float | None = None
        """Since when its running clock stands still, as its machine is suspended."""
        self.stood_still_s = 0.0
        self._now = now
        self.loop = SimulatedLoop(self.running_clock)
        self.clocks = Clocks(self.running_clock, lambda: now() + self.skew)
        self._announce = announce
        self._turns = 0
        redis = new_client("unix:///simulation")
        redis.connection_pool.connection_class = partial(SimulatedConnection, send=partial(send, self))
        self._redis = redis
        self.ledger = Ledger(redis)
        self.losses = LossDetector(name)
        self._archiver: Archiver | None = None
        self.remembered: frozenset[str] = frozenset()
        """The jobs that it remembered when Redis lost them."""
        target = Target(BASE_URL, "sk-simulation", timeout_s=TIMEOUT_S)
        self._api = CompletionsApi(Transport(partial(send, self)), target, Credential(target.secret))

    @property
    def runs(self) -> bool:
        """Whether it takes part in what happens."""
        return self.is_alive and not self.is_frozen

    def running_clock(self) -> float:
        """Return what its clock shows that stands still while the machine is suspended."""
        now = self._now() if self.suspended_at is None else self.suspended_at
        return now - self.stood_still_s

    @property
    def is_free(self) -> bool:
        """Whether it could take a shard."""
        return self.runs and (self.turn is None or self.turn.done())

    def start(self, step: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start something beside whatever else it does."""
        task = self.loop.create_task(step)
        self.tasks.append(task)
        return task

    def errors(self) -> list[BaseException]:
        """What ended its tasks unasked for, and what its loop met; each is told once."""
        found, self.loop.errors = self.loop.errors, []
        ended = [task for task in self.tasks if task.done()]
        self.tasks = [task for task in self.tasks if not task.done()]
        for task in ended:
            if not task.cancelled() and (error := task.exception()):
                found.append(error)
        return found

    def end(self) -> None:
        """End all that still runs, in a dead process too: the garbage collector would, in the midst of a later run."""
        for _ in range(END_ROUNDS):
            running = asyncio.all_tasks(self.loop)
            if not running:
                return
            for task in sorted(running, key=hash):
                task.cancel()
            self.loop.run_ready()
        raise AssertionError(f"{self.name} does not end: {running}")

    def take_turn(self, job_id: str, number: int) -> None:
        """Take a shard as `worker.runtime` does, or read the list as `tasks.selection` does."""
        if number == LIST:
            self.turn = self.start(self._read_list(job_id))
            return
        self._turns += 1
        number_of, _, life = self.name.removeprefix("w").partition("'")
        owner = f"{self.name}:1:{int(number_of):02}{int(life or 0):02}{self._turns:04}"  # no two end alike
        self.turn = self.start(self._take_turn(job_id, number, owner))

    def note_loss(self) -> None:
        """Keep in mind which jobs are remembered at this moment, in which Redis loses them."""
        memory = self.losses.memory
        self.remembered = frozenset() if memory is None else frozenset(memory.jobs)

    def rescue(self) -> None:
        """Find what is lost and rescue the shards of all jobs once, as the thread beside the pool does."""
        self.start(self._look_after_jobs())

    def archive(self, folder: Path) -> None:
        """Archive the reports of ended jobs, as another such thread does."""
        self._archiver = self._archiver or Archiver(self.ledger, folder, keep_s=1e9, worker=self.name)
        self.start(self._archive(self._archiver))

    async def _look_after_jobs(self) -> None:
        with contextlib.suppress(*AWAY):
            await self.losses.check(self.ledger)
            await rescue_all(self.ledger, self._announce_all, self._ask_to_read)

    async def _archive(self, archiver: Archiver) -> None:
        with contextlib.suppress(*AWAY):
            await archiver.step()

    async def _take_turn(self, job_id: str, number: int, owner: str) -> None:
        leased: Job | None = None
        try:
            shard = await retry_while_unavailable(lambda: self._lease(job_id, number, owner))
            if shard is None:
                return
            leased = await retry_while_unavailable(lambda: self.ledger.jobs.get(job_id))
            await self._carry_out(shard)
            self._announce_all(job_id, await retry_while_unavailable(lambda: self.ledger.shards.to_announce(job_id)))
        except (StateLost, NoSuchJob):
            if leased is not None:
                lost = leased
                await retry_while_unavailable(lambda: self._record_loss(lost))

    async def _read_list(self, job_id: str) -> None:
        reader = new_reader(self.name, self.ledger, job_id, self._held)
        try:
            shards = await reader.read()
        except (NoSuchJob, *AWAY):
            return
        if reader.is_left:
            self._ask_to_read(job_id)
        self._announce_all(job_id, shards)

    def _ask_to_read(self, job_id: str) -> None:
        self._announce(job_id, LIST)

    async def _carry_out(self, shard: LeasedShard) -> None:
        job_id = shard.spec.job_id
        try:
            await self._run(shard).run()
        finally:
            answer = await retry_while_unavailable(lambda: self.ledger.shards.release(shard))
        if answer is ReleaseAnswer.LOST:
            await retry_while_unavailable(lambda: self.ledger.shards.survive(job_id, shard.number, shard.owner))
            await retry_while_unavailable(lambda: self.ledger.jobs.get(job_id))  # where it is gone, nobody else has it
        await retry_while_unavailable(lambda: end_turn(self.ledger, shard, answer))

    async def _lease(self, job_id: str, number: int, owner: str) -> LeasedShard | None:
        if await self.ledger.shards.lease(job_id, number, owner) is not LeaseAnswer.LEASED:
            await self.ledger.shards.survive(job_id, number, owner)
            return None
        return await self.ledger.shards.load(job_id, number, owner)

    async def _record_loss(self, job: Job) -> None:
        await self.ledger.losses.record_job(job, since=await self.ledger.jobs.now(), seen_by=self.name)

    def _run(self, shard: LeasedShard) -> ShardRun:
        return ShardRun(
            shard,
            ProcessResources(self.ledger, self._api, KnownCompletions(), lambda: False, clocks=self.clocks),
            limiter=RateLimiter(Limits(self._redis), LIMIT, job_id=shard.spec.job_id, clocks=self.clocks),
            breaker=CircuitBreaker(self._redis, LIMIT.key),
            bounds=Bounds(IN_FLIGHT, TURN_S, ATTEMPTS, TIMEOUT_S),
            service=Service(),
        )

    def _announce_all(self, job_id: str, shards: Iterable[int]) -> None:
        for number in shards:
            self._announce(job_id, number)
