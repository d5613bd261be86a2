"""What the simulation rests on: one time for the server, its keys and the processes beside it."""

from __future__ import annotations

import pytest

from ledger.claims import Claimant, Taken
from ledger.clock import server_time
from ledger.connect import new_client
from ledger.ledger import Ledger
from tests.simulation.process import Process
from tests.simulation.server import BEGIN, ClockedRedis
from worker.fence import FENCE_S, LeaseFence


async def claim_for(ledger: Ledger, owner: str) -> Taken:
    """Ask for a claim of 8 seconds."""
    return (await ledger.claims.swap(Claimant(owner, 8.0), take=["c"])).taken[0]


async def test_the_time_and_the_lives_of_keys_and_the_fence_move_together(clocked_redis: ClockedRedis) -> None:
    """The script's `TIME`, a `PX` life and the clock of a worker by which its fence goes; none moves by itself."""
    world = {"now": BEGIN}
    process = Process("w1", lambda: world["now"], lambda *_: None, lambda *_: None)
    fence = LeaseFence(process.clocks)
    client = new_client(f"unix://{clocked_redis.socket}")
    ledger = Ledger(client)

    async def moments() -> tuple[float, int, float]:
        life = clocked_redis.admin.pttl("relabel:claim:c")
        return await server_time(client), life, process.loop.time()

    def set_time(now: float) -> None:
        world["now"] = now
        clocked_redis.set_clock(now)

    fence.confirm(process.clocks.read())
    assert (await claim_for(ledger, "one")).is_ours
    assert await moments() == (BEGIN, 8000, BEGIN)
    set_time(BEGIN + FENCE_S)
    assert await moments() == (BEGIN + FENCE_S, 2000, BEGIN + FENCE_S)
    assert fence.holds
    assert not (await claim_for(ledger, "two")).is_ours
    set_time(BEGIN + 8.25)
    assert (await moments())[::2] == (BEGIN + 8.25, BEGIN + 8.25)
    assert not fence.holds
    assert (await claim_for(ledger, "two")).is_ours
    await client.aclose()


async def test_a_server_whose_clock_is_set_back_goes_on(clocked_redis: ClockedRedis) -> None:
    """What lives by the clock lives that much longer, and what is made from then on lives as long as it should."""
    client = new_client(f"unix://{clocked_redis.socket}")
    ledger = Ledger(client)
    assert (await claim_for(ledger, "one")).is_ours

    clocked_redis.set_clock(BEGIN - 3600)

    assert await server_time(client) == BEGIN - 3600
    assert clocked_redis.admin.pttl("relabel:claim:c") == 3_608_000
    assert await client.set("other", "1", px=8000)
    assert clocked_redis.admin.pttl("other") == 8000
    await client.aclose()


@pytest.mark.parametrize("now", [BEGIN, BEGIN + 400 * 86_400, BEGIN - 86_400])
def test_a_server_starts_again_whatever_its_clock_shows(clocked_redis: ClockedRedis, now: float) -> None:
    """It does not hang on a clock that stands still, and a kill loses nothing."""
    clocked_redis.admin.set("kept", "1")
    clocked_redis.kill()
    clocked_redis.set_clock(now)

    clocked_redis.start()

    assert clocked_redis.admin.get("kept") == b"1"
    assert clocked_redis.admin.time() == (int(now), 0)
