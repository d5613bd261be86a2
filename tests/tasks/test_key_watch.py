"""A worker that stands aside leaves the queue, tries its key again, and comes back when it is accepted or needed."""

from __future__ import annotations

from collections.abc import Callable

from ledger.keys import WORKERS
from ledger.workers import Aside, WorkerFacts
from sandbox import Sandbox, SandboxOptions
from tasks.key_watch import KeyWatch
from tests.harness.cluster import KEY, settings_for
from tests.harness.wait import wait_until
from worker.worker_key import Standby


class Queue:
    """The part of the consumer that the watch acts on: it does at once what a consumer does in its own time."""

    def __init__(self) -> None:
        self.left = self.joined = 0

    def leave(self, done: Callable[[], None]) -> None:
        """Unsubscribe from the queue."""
        self.left += 1
        done()

    def join(self, done: Callable[[], None]) -> None:
        """Read the queue again."""
        self.joined += 1
        done()


async def test_it_comes_back_when_its_key_is_accepted_or_nobody_else_works(ledger, redis_url):
    """While another worker does the work it stays away; were it alone, its refusal has to pause the job."""
    standby, queue = Standby("w1@here"), Queue()
    async with Sandbox(SandboxOptions(api_key="sk-another")) as sandbox:
        await ledger.workers.beat("w2@there", 2)
        await ledger.workers.beat("w1@here", 2, WorkerFacts(aside=Aside.KEY_REFUSED))
        watch = KeyWatch(settings_for(redis_url, sandbox.base_url), standby, queue, try_again_s=0.1)
        watch.start()
        try:
            standby.enter()
            await wait_until(lambda: standby.is_unsubscribed, within=30, what="it left the queue")
            asked = sandbox.log.total
            await wait_until(lambda: sandbox.log.total >= asked + 3, within=60, what="the key was tried again")
            assert (standby.is_on, queue.left, queue.joined) == (True, 1, 0)

            sandbox.configure(api_key=KEY)
            await wait_until(lambda: not standby.is_on, within=60, what="its key is accepted")

            sandbox.configure(api_key="sk-another")
            await ledger.workers.beat("w2@there", 2, WorkerFacts(aside=Aside.KEY_REFUSED))
            standby.enter()
            await wait_until(lambda: queue.left == 2 and not standby.is_on, within=60, what="nobody else works")
        finally:
            watch.stop()
    assert queue.joined == 2


async def test_it_stays_away_while_a_worker_of_release_one_lives(ledger, redis_url):
    """Whether or not its own key works."""
    standby, queue = Standby("w1@here"), Queue()
    async with Sandbox(SandboxOptions(api_key=KEY)) as sandbox:
        await ledger.redis.zadd(WORKERS, {"old@there|2": await ledger.jobs.now()})
        watch = KeyWatch(settings_for(redis_url, sandbox.base_url), standby, queue, try_again_s=0.1)
        standby.enter(Aside.RELEASE_ONE)
        watch.start()
        try:
            await wait_until(lambda: standby.is_unsubscribed, within=30, what="it left the queue")
            assert standby.reason is Aside.RELEASE_ONE

            await ledger.redis.zrem(WORKERS, "old@there|2")
            await wait_until(lambda: not standby.is_on, within=60, what="the other one has ended")
        finally:
            watch.stop()
    assert (queue.joined, sandbox.log.total) == (1, 0)
