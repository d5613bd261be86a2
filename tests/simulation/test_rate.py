"""What the shared rate gets out of a server's limit in its first half minute, in simulated time.

Four processes with the real limiter, its real scripts and the sandbox's limit; all rows want to be sent.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from ledger.clock import Clocks
from ratelimit.headers import RateLimitHeaders
from ratelimit.limiter import HandBack, RateLimiter
from ratelimit.limits import Limit, Limits, SharedLimit
from sandbox.limit import Limit as ServerLimit
from sandbox.limit import rate_headers
from tests.simulation.loop import SimulatedLoop
from tests.simulation.server import BEGIN, ClockedRedis

SECONDS, PROCESSES, IN_FLIGHT = 30.0, 4, 64
ROUND_TRIP_S, LATENCY_S, REFUSED_S = 0.001, 0.05, 0.003
SHARED = "relabel:limit:test"


class Service(NamedTuple):
    """A server's limit; `tells` whether a 429 says when to come back, `shows` whether each answer has rate headers."""

    rate: float
    bucket: int | None = None
    tells: bool = True
    shows: bool = False


UNKNOWN = {
    "bucket of 1 s": Service(50),
    "bucket of 1 s, without a word": Service(50, tells=False),
    "bucket of 0.1 s": Service(50, 5),
    "bucket of 1 min": Service(50, 3000),
    "bucket of 1 s, rate headers": Service(50, shows=True),
}


class World:
    """Workers on one limit, a server, and the time, which nothing but `run` moves."""

    def __init__(self, redis: ClockedRedis) -> None:
        self._redis = redis
        self.now = BEGIN
        self._loop = SimulatedLoop(lambda: self.now)
        self._allowed = 0.0
        self.sent: list[bool] = []
        """Whether each request was let through."""

    def register_script(self, source: str) -> Callable[..., Awaitable[Any]]:
        """Bind a script as redis-py does; a round trip takes a while."""
        script = self._redis.admin.register_script(source)

        async def run(keys: Sequence[str], args: Sequence[Any]) -> Any:
            await asyncio.sleep(ROUND_TRIP_S / 2)
            self._redis.set_clock(self.now)
            answer = script(keys, args)
            await asyncio.sleep(ROUND_TRIP_S / 2)
            return answer

        return run

    def run(self, service: Service, *, per_second: float, seconds: float = SECONDS) -> None:
        """Let workers that are set to a rate send for so many seconds."""
        self.sent.clear()
        self._allowed = service.rate * seconds
        server, until, limiters = ServerLimit(service.rate, service.bucket), self.now + seconds, []
        asyncio._set_running_loop(self._loop)
        for _ in range(PROCESSES):
            headers = RateLimitHeaders(lambda: self.now)
            limiter = RateLimiter(
                Limits(self),  # type: ignore[arg-type]
                SharedLimit(SHARED, Limit.per_minute(60 * per_second)),
                job_id=None,
                rate_headers=headers,
                clocks=Clocks(lambda: self.now, lambda: self.now),
            )
            limiters.append(limiter)
            for _ in range(IN_FLIGHT):
                self._loop.create_task(self._row(limiter, headers, server, service))
        asyncio._set_running_loop(None)
        self._loop.run_ready()
        while (at := self._loop.next_timer()) is not None and at < until:
            self.now = at
            self._loop.run_ready()
        self.now = until
        for limiter in limiters:
            limiter.close(to_writes=True)
        self._loop.run_ready()
        assert not self._loop.errors

    async def _row(
        self, limiter: RateLimiter, headers: RateLimitHeaders, server: ServerLimit, service: Service
    ) -> None:
        while True:
            try:
                await limiter.acquire(write=False)
            except HandBack:
                return
            verdict, left = server.take(self.now), self.now
            self.sent.append(verdict.allowed)
            await asyncio.sleep(LATENCY_S if verdict.allowed else REFUSED_S)
            if service.shows:
                headers.observe(rate_headers(server, verdict))
            if verdict.allowed:
                limiter.note_answered()
            else:
                retry_after = max(1, math.ceil(verdict.wait_s)) if service.tells else None
                await limiter.pause(retry_after, sent_s_ago=self.now - left)

    @property
    def refused(self) -> float:
        """The share of requests that were answered 429."""
        return 1 - sum(self.sent) / len(self.sent)

    @property
    def used(self) -> float:
        """The share of the requests that the server's rate allows."""
        return sum(self.sent) / self._allowed


@pytest.fixture
def world(clocked_redis: ClockedRedis) -> Iterator[World]:
    """A time in which nothing was sent yet."""
    return World(clocked_redis)


@pytest.mark.parametrize("service", UNKNOWN.values(), ids=UNKNOWN)
def test_a_limit_far_below_the_setting_is_found_with_few_429s(world: World, service: Service) -> None:
    """Set to ten times of what the server allows, at most one request in a hundred is refused."""
    world.run(service, per_second=500)

    assert world.refused <= 0.01
    assert world.used >= 0.8


@pytest.mark.parametrize("rate", [100, 1000])
def test_a_limit_that_is_set_right_is_used(world: World, rate: float) -> None:
    """From the first second on: what the slow start leaves unused is less than a hundredth of half a minute."""
    world.run(Service(rate), per_second=rate)

    assert world.refused == 0
    assert world.used >= 0.99


def test_a_limit_that_was_used_before_is_used_at_once(world: World) -> None:
    """Also a day later."""
    world.run(Service(1000), per_second=1000, seconds=3.0)
    world.now += 86_400
    world.run(Service(1000), per_second=1000, seconds=3.0)

    assert world.used >= 1.0


def test_after_ten_idle_minutes_a_limit_that_refused_requests_is_tried_from_below_again(world: World) -> None:
    """It may have changed, or not."""
    service = UNKNOWN["bucket of 1 s"]
    world.run(service, per_second=500, seconds=5.0)
    world.now += 700
    world.run(service, per_second=500)

    assert world.refused <= 0.01
