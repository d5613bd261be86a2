"""What a look costs does not grow with what is stored: Redis counts how often it is asked, and how much it answers."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from config.web import Scope
from ledger.row import Outcome
from nightly.state import FileState, NightFile
from nightly.store import Nights
from relabel.jobs import see_jobs
from relabel.session import Session
from tests.harness.rows import PatchRows
from tests.web.conftest import in_process, settings_of

FEW, MANY = 3, 60
ROWS = "id,team\n" + "".join(f"{each},t\n" for each in PatchRows(4).ids)


class Cost(NamedTuple):
    """Round trips to Redis, and the bytes that it answered."""

    trips: int
    size: int


class Asked:
    """A client of a server, and what its requests cost Redis."""

    def __init__(self, client, ledger) -> None:
        self._client = client
        self._redis = ledger.redis

    async def cost(self, path: str) -> Cost:
        """Ask a second time, as the first one loads scripts and opens connections."""
        for _ in range(2):
            before = await self._redis.info("stats")
            answer = await self._client.get(path)
            after = await self._redis.info("stats")
            assert answer.status_code == 200, answer.text
        trips, size = (after[name] - before[name] for name in ("total_reads_processed", "total_net_output_bytes"))
        return Cost(trips - 1, size)  # the second look itself


@pytest.fixture
async def asked(redis_url, ledger, new_token):
    """Nobody else asks this Redis meanwhile."""
    async with in_process(settings_of(redis_url)) as client:
        client.headers["Authorization"] = f"Bearer {await new_token(Scope.READ)}"
        yield Asked(client, ledger)


async def test_a_job_costs_the_same_whatever_was_made_of_it(asked, make_job):
    """A token, the job with its children, and these together."""
    alone = await make_job(ROWS)
    parent = await make_job(ROWS)
    for _ in range(FEW):
        await make_job(ROWS, kind="retry", parent=parent.job_id, by="ada@x")

    assert (await asked.cost(f"/v1/jobs/{alone.job_id}")).trips <= 2
    assert (await asked.cost(f"/v1/jobs/{parent.job_id}")).trips <= 3


async def test_a_list_costs_the_same_however_many_jobs_there_are(asked, make_job):
    """A page, one from the midst, and one that finds nothing among all of them."""
    specs = [await make_job(ROWS) for _ in range(FEW)]
    few = await asked.cost("/v1/jobs?limit=20")
    specs += [await make_job(ROWS) for _ in range(MANY - FEW)]
    many = await asked.cost("/v1/jobs?limit=20")
    midst = await asked.cost(f"/v1/jobs?limit=20&after={specs[MANY // 2].job_id}")
    nothing = await asked.cost("/v1/jobs?limit=20&name=no-job-has-this-name")

    assert few.trips <= 4
    assert many.trips <= few.trips + 1
    assert midst.trips <= few.trips + 2
    # a request that names the keys of many jobs is read in several pieces
    assert nothing.trips <= few.trips + MANY // 20


async def test_jobs_that_have_not_ended_cost_the_same_however_many_have(asked, make_job, ledger):
    """They have an index, so that those that have ended are not looked at."""
    paused = (await make_job(ROWS)).job_id
    await ledger.jobs.pause(paused, by="ada@x", code="paused", reason="lunch")
    few = await asked.cost("/v1/jobs?state=paused")
    for _ in range(MANY):
        job_id = (await make_job(ROWS, dict.fromkeys(range(4), Outcome.UPDATED))).job_id
        await ledger.jobs.retire(job_id)

    assert (await asked.cost("/v1/jobs?state=paused")).trips <= few.trips


async def test_rows_cost_the_same_wherever_they_are(asked, make_job):
    """The first page and the last one, of a small job and of a larger one; what is asked for and what is answered."""
    ids = PatchRows(400).ids
    content = "id,team\n" + "".join(f"{each},t\n" for each in ids)
    small = await make_job("id,team\n" + "".join(f"{each},t\n" for each in ids[:20]), shard_rows=10)
    large = await make_job(content, dict.fromkeys(range(0, 400, 40), Outcome.UPDATED), shard_rows=10)
    first = await asked.cost(f"/v1/jobs/{small.job_id}/rows?limit=5")
    for path in ("rows?limit=5", "rows?limit=5&after=r380", "rows?limit=1&outcome=updated&after=r300"):
        cost = await asked.cost(f"/v1/jobs/{large.job_id}/{path}")
        assert cost.trips <= first.trips + 1, path
        assert cost.size < 2 * first.size, path


async def test_a_night_costs_the_same_however_many_files_it_has(asked, make_job, ledger):
    """Their jobs are read together."""
    specs = [await make_job(ROWS) for _ in range(40)]
    nights = Nights(ledger.redis)
    night, _ = await nights.begin("2026-11-27", asked_by="schedule", overlap="skip")
    facts = {"state": FileState.DONE, "size": 1, "changed_ns": 1, "taken_at": 1.0}
    await nights.put(night, [NightFile(name=f"{spec.job_id}.csv", job_id=spec.job_id, **facts) for spec in specs])

    assert (await asked.cost("/v1/nightly/runs")).trips <= 5


async def test_a_history_costs_the_same_however_many_jobs_are_searched(asked, make_job):
    """A hundred of them in one round trip, and nothing is answered for those that do not hold the completion."""
    for _ in range(2 * MANY):
        await make_job(ROWS, indexed=True)
    cost = await asked.cost("/v1/completions/chatcmpl-unknown/history")

    assert cost.trips <= 6
    assert cost.size < 200 * MANY


async def test_all_that_is_watched_is_looked_at_together(redis_url, make_job, ledger):
    """So that a server with many streams asks no more than one with few."""
    ids = [(await make_job(ROWS)).job_id for _ in range(40)]
    session = Session(ledger, settings_of(redis_url), user="ada")
    trips = []
    for some in (ids[:2], ids, ids):
        before = (await ledger.redis.info("stats"))["total_reads_processed"]
        seen = await see_jobs(session, [*some, "no-such-job"])
        trips.append((await ledger.redis.info("stats"))["total_reads_processed"] - before - 1)
        assert [each and each.job.spec.job_id for each in seen] == [*some, None]

    assert trips[2] <= trips[0] + 1
