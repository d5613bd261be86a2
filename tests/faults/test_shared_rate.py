"""The shared rate over real workers, measured at the server: it finds a limit that nobody knows, and obeys people."""

from __future__ import annotations

import asyncio
import sys
import time

from sandbox.log import Entry
from tests.harness.rows import PatchRows
from tests.harness.stand import KEY, Stand
from tests.harness.wait import wait_until

SETTLED_AFTER_S, WATCHED_S = 10.0, 12.0
ALLOWED = 50.0
IN_EFFECT_S = 1.5
"""Promised: 1 s. The rest is noise."""
FAST = {"per_minute": 30_000}


async def watched(stand: Stand, seconds: float) -> list[Entry]:
    """What the server is asked from now on, for so long."""
    asked = stand.asked
    await asyncio.sleep(seconds)  # the measurement itself
    return stand.requests_since(asked)


def refused(entries: list[Entry]) -> int:
    """Requests that were answered 429."""
    return sum(entry.status == 429 for entry in entries)


async def relabel(stand: Stand, *arguments: str) -> None:
    """Run the command with the workers' settings."""
    environment = {
        "RELABEL_REDIS__URL": stand.redis.url,
        "OPENAI_BASE_URL": stand.sandbox.base_url,
        "OPENAI_API_KEY": KEY,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli.main", *arguments, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0


async def slowed(stand: Stand, job_id: str) -> bool:
    """Whether the job says that 429s hold it well below what was asked for."""
    job = await stand.job(job_id)
    assert job is not None
    waits = job.waits
    held_back = waits.slowed_by == "429" and waits.rate_per_minute < 2 * ALLOWED * 60
    return held_back and waits.asked_per_minute == FAST["per_minute"]


async def test_two_workers_find_a_limit_that_nobody_told_them(stand: Stand) -> None:
    """50/s behind 500/s: nearly all of it is used, next to nothing is refused, and the job says what holds it back."""
    stand.sandbox.configure(rate_per_second=ALLOWED)
    await stand.two_workers(rate=FAST)
    job_id = await stand.start_job(PatchRows(1500), shard_rows=200)
    await wait_until(lambda: stand.asked, within=20, what="the job is under way")
    await watched(stand, SETTLED_AFTER_S)

    began = time.monotonic()
    seen = await watched(stand, WATCHED_S)
    took = time.monotonic() - began

    # promised: 90 % and 2 %; the rest is for a busy machine
    assert len(seen) - refused(seen) > 0.8 * ALLOWED * took
    assert refused(seen) < 0.04 * len(seen)
    # between two shards a worker has not said yet what it waits for
    await wait_until(lambda: slowed(stand, job_id), within=10, what="the job says what holds it back")


async def test_where_the_api_tells_what_is_left_hardly_anything_is_refused(stand: Stand) -> None:
    """The same limit, with the headers that say how much of it is left."""
    stand.sandbox.configure(rate_per_second=ALLOWED, rate_headers=True)
    await stand.two_workers(rate=FAST)
    await stand.start_job(PatchRows(1500), shard_rows=100)
    await wait_until(lambda: stand.asked, within=20, what="the job is under way")
    await watched(stand, SETTLED_AFTER_S)

    began = time.monotonic()
    seen = await watched(stand, WATCHED_S)

    assert len(seen) - refused(seen) > 0.6 * ALLOWED * (time.monotonic() - began)
    assert refused(seen) < 0.04 * len(seen)


async def test_a_rate_set_at_the_command_line_is_in_effect_at_once_on_all_workers(stand: Stand) -> None:
    """The shared one, then the job's own below it, then both taken back."""
    await stand.two_workers(rate={"per_minute": 6000})
    job_id = await stand.start_job(PatchRows(1000), shard_rows=100)
    await stand.settled(job_id, 20)

    for command, least, most in (
        (["rate", "20/s", "--burst", "1"], 10, 22),
        (["rate", "5/s", "--job", job_id], 2, 6),
        (["rate", "--reset", "--job", job_id], 10, 22),
        (["rate", "--reset"], 50, 110),
    ):
        await relabel(stand, *command)
        await asyncio.sleep(IN_EFFECT_S)
        began = time.monotonic()
        seen = await watched(stand, 1.5)
        rate = len(seen) / (time.monotonic() - began)
        assert least < rate < most, (command, rate)
    verbs = [line.verb for line in await stand.ledger.audit.read(job_id)]
    assert verbs == ["rate"] * 4
