"""The shared rate over real workers, measured at the server: it finds a limit that nobody knows, and obeys people."""

from __future__ import annotations

import asyncio
import time

import pytest

from sandbox.log import Entry
from tests.harness.cluster import KEY, Cluster
from tests.harness.command import ROOT, run_here
from tests.harness.rows import PatchRows
from tests.harness.wait import wait_until

SETTLED_AFTER_S, WATCHED_S, WATCHED_AGAIN = 10.0, 10.0, 6
ALLOWED = 50.0
IN_EFFECT_S = 1.5
"""Promised: 1 s. The rest is noise."""
FAST = {"per_minute": 30_000}


async def watched(cluster: Cluster, seconds: float) -> list[Entry]:
    """What the server is asked from now on, for so long."""
    asked = cluster.asked
    await asyncio.sleep(seconds)  # the measurement itself
    return cluster.requests_since(asked)


async def watched_rate(cluster: Cluster) -> float:
    """Requests a second that the server is asked from now on, for two seconds."""
    began = time.monotonic()
    seen = await watched(cluster, 2.0)
    return len(seen) / (time.monotonic() - began)


async def settles(cluster: Cluster, *, least_used: float, most_refused: float) -> None:
    """Watch the server until these shares of its limit are used, and of the requests refused, all through a window.

    A machine that does other work for a while spoils the window that it does it in.
    """
    await watched(cluster, SETTLED_AFTER_S)
    found = []
    for _ in range(WATCHED_AGAIN):
        began = time.monotonic()
        seen = await watched(cluster, WATCHED_S)
        allowed = ALLOWED * (time.monotonic() - began)
        refused = sum(entry.status == 429 for entry in seen)
        found.append(((len(seen) - refused) / allowed, refused / max(1, len(seen))))
        if found[-1][0] > least_used and found[-1][1] < most_refused:
            return
    raise AssertionError(f"shares used and refused: {found}")


async def relabel(cluster: Cluster, *arguments: str) -> None:
    """Run the command with the workers' settings."""
    environment = {
        "RELABEL_REDIS__URL": cluster.redis.url,
        "OPENAI_BASE_URL": cluster.sandbox.base_url,
        "OPENAI_API_KEY": KEY,
    }
    assert (await run_here(*arguments, environment=environment, folder=ROOT)).code == 0


async def slowed(cluster: Cluster, job_id: str) -> bool:
    """Whether the job says that 429s hold it well below what was asked for."""
    job = await cluster.job(job_id)
    assert job is not None
    waits = job.waits
    held_back = waits.slowed_by == "429" and waits.rate_per_minute < 2 * ALLOWED * 60
    return held_back and waits.asked_per_minute == FAST["per_minute"]


@pytest.mark.promise
async def test_two_workers_find_a_limit_that_nobody_told_them(cluster: Cluster) -> None:
    """50/s behind 500/s: nearly all of it is used, next to nothing is refused, and the job says what holds it back."""
    cluster.sandbox.configure(rate_per_second=ALLOWED)
    await cluster.two_workers(rate=FAST)
    job_id = await cluster.start_job(PatchRows(2500), shard_rows=200)
    await wait_until(lambda: cluster.asked, within=60, what="the job is under way")

    # promised: 90 % and 2 %; the rest is for a busy machine
    await settles(cluster, least_used=0.85, most_refused=0.03)

    # between two shards a worker has not said yet what it waits for
    await wait_until(lambda: slowed(cluster, job_id), within=20, what="the job says what holds it back")


@pytest.mark.promise
async def test_where_the_api_tells_what_is_left_hardly_anything_is_refused(cluster: Cluster) -> None:
    """The same limit, with the headers that say how much of it is left."""
    cluster.sandbox.configure(rate_per_second=ALLOWED, rate_headers=True)
    await cluster.two_workers(rate=FAST)
    await cluster.start_job(PatchRows(2500), shard_rows=100)
    await wait_until(lambda: cluster.asked, within=60, what="the job is under way")

    await settles(cluster, least_used=0.6, most_refused=0.03)


async def test_a_rate_set_at_the_command_line_is_in_effect_at_once_on_all_workers(cluster: Cluster) -> None:
    """The shared one, then the job's own below it, then both taken back."""
    await cluster.two_workers(rate={"per_minute": 6000})
    job_id = await cluster.start_job(PatchRows(6000), shard_rows=100)
    await cluster.settled(job_id, 20)

    # bounds far from the rate before: of a machine that does other work, requests come late and together
    for command, least, most in (
        (["rate", "20/s", "--burst", "1"], 8, 40),
        (["rate", "5/s", "--job", job_id], 1, 10),
        (["rate", "--reset", "--job", job_id], 8, 40),
        (["rate", "--reset"], 25, 160),
    ):
        await relabel(cluster, *command)
        await asyncio.sleep(IN_EFFECT_S)
        rates = [await watched_rate(cluster)]
        while rates[-1] <= least and len(rates) < WATCHED_AGAIN:
            rates.append(await watched_rate(cluster))
        assert rates[-1] > least, (command, rates)
        assert max(rates) < most, (command, rates)
    verbs = [line.verb for line in await cluster.ledger.audit.read(job_id)]
    assert verbs == ["rate"] * 4
