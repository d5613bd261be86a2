"""Rows whose 404 may be the URL's: held back until another row shows what it means, with one request in flight."""

from __future__ import annotations

import asyncio

import pytest

from ledger.claims import Claimant, GivenUp, claim_of
from ledger.job import JobState
from ledger.job_spec import Kind
from ledger.keys import JobKeys, claim_key
from ledger.row import Outcome
from ledger.shards import ReleaseAnswer
from ratelimit.limits import Limit
from sandbox.completion import Completion, new_id
from tests.harness.shaped_service import SHAPES, ShapedService, serving
from tests.harness.wait import wait_until
from tests.harness.worker_harness import LIMIT_KEY
from worker.checked_api import KnownCompletions
from worker.unclear_rows import MOST_UNCLEAR

MISSING = [f"chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpN{number}" for number in range(200, 209)]
STORED = [f"chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHp{number}" for number in range(100, 120)]
SOMEBODY = Claimant("somebody", 60.0)
NOON = 1_795_000_000
KINDS = {
    "merge": {"mode": "merge"},
    "replace": {"mode": "replace", "journal": False},
    "replace with undo": {"mode": "replace"},
    "apply": {"exact": True},
    "plan": {"kind": Kind.PLAN},
    "verify": {"kind": Kind.VERIFY},
    "undo": {"kind": Kind.UNDO},
}


@pytest.fixture
async def service(harness):
    """A gateway that says of a missing completion what it says of an unknown URL; the worker calls it slowly."""
    async with serving(ShapedService(SHAPES["a gateway that has one code for all"], *STORED)) as service:
        service.right, service.wrong = At(service.base_url), At(service.address)
        harness.sandbox, harness.limit = service.right, Limit(40.0, 1)
        yield service


class At:
    """The service at one of its addresses, as the harness takes it."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url


def patches(*ids, expect=None):
    """One change a completion."""
    return [(each, {"k": "v"}, expect or {"k": None}) for each in ids]


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_a_first_row_that_is_missing_fails_alone(harness, service, kind, attempts):
    """Whatever the job does with its rows."""
    job_id = await harness.submit(*patches(MISSING[0], *STORED[:3]), **kind)
    assert await harness.turn(job_id, in_flight=1, attempts=attempts) is ReleaseAnswer.FINISHED

    missing, *found = await harness.rows(job_id)
    failed = (Outcome.DRIFTED, "gone") if kind.get("kind") is Kind.VERIFY else (Outcome.FAILED, "not_found")
    assert (missing.outcome, missing.detail.code, missing.detail.status, missing.detail.attempts) == (*failed, 404, 1)
    assert not {row.outcome for row in found} & {Outcome.PENDING, Outcome.FAILED}


async def test_rows_are_held_back_up_to_a_bound(harness, service):
    """Each is asked for once more after another was found."""
    held = MISSING[: MOST_UNCLEAR - 1]
    job_id = await harness.submit(*patches(held[0], *STORED[:2], *held[1:]))
    await harness.turn(job_id, in_flight=1)

    job = await harness.job(job_id)
    assert (job.state, job.counts.failed, job.counts.updated) == (JobState.FINISHED, len(held), 2)
    assert [service.asked.count(("GET", each)) for each in held] == [2] * len(held)


async def test_many_rows_that_are_missing_may_stand_together(harness, service):
    """A file is sorted by age, and the oldest completions are gone: a row far from those is tried next."""
    job_id = await harness.submit(*patches(*MISSING, *STORED))
    await harness.turn(job_id, in_flight=1)

    job = await harness.job(job_id)
    assert (job.state, job.counts.failed) == (JobState.FINISHED, len(MISSING))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_a_wrong_url_pauses_after_a_few_requests(harness, service, kind):
    """And no row is touched or counted as tried."""
    harness.sandbox = service.wrong
    job_id = await harness.submit(*patches(*STORED), **kind)
    assert await harness.turn(job_id, in_flight=1) is ReleaseAnswer.WAITING

    job = await harness.job(job_id)
    assert (job.state, job.reason_code, job.counts.pending) == (JobState.PAUSED, "unknown_url", len(STORED))
    assert len(service.asked) == MOST_UNCLEAR
    assert not await harness.redis.exists(JobKeys(job_id).tries)


@pytest.mark.parametrize("rows", [1, MOST_UNCLEAR - 1])
async def test_a_job_without_another_row_pauses(harness, service, rows):
    """There is none that could show that the URL is right."""
    job_id = await harness.submit(*patches(*MISSING[:rows]))
    await harness.turn(job_id, in_flight=1)

    job = await harness.job(job_id)
    assert (job.state, job.reason_code, job.counts.pending) == (JobState.PAUSED, "unknown_url", rows)
    assert len(service.asked) == rows


async def test_a_route_to_read_shows_nothing_of_one_to_update(harness):
    """Each row is read, and its update answered 404."""
    async with serving(ShapedService(SHAPES["Azure"], *STORED, routes=("GET",))) as service:
        harness.sandbox = At(service.base_url)
        job_id = await harness.submit(*patches(*STORED))
        await harness.turn(job_id, in_flight=1)

    job = await harness.job(job_id)
    assert (job.state, job.counts.pending) == (JobState.PAUSED, len(STORED))
    assert len(service.asked) == 2 * MOST_UNCLEAR


async def test_requests_under_way_are_waited_for(harness, service):
    """Any of them may show that the URL is right."""
    harness.limit = Limit(2000.0, 200)
    await harness.redis.hset(LIMIT_KEY, "proved", 10_000)  # a limit that was used before: all are sent at once
    job_id = await harness.submit(*patches(*MISSING, *STORED))
    await harness.turn(job_id, in_flight=16)

    job = await harness.job(job_id)
    assert (job.state, job.counts.failed) == (JobState.FINISHED, len(MISSING))


async def test_a_row_that_is_held_back_goes_back_untouched_when_the_run_ends(harness, service):
    """Nobody has its completion, no try is counted, and the next run does it."""
    job_id = await harness.submit(*patches(MISSING[0], STORED[0]))
    harness.limit = Limit(0.05, 1)
    turn = asyncio.create_task(harness.turn(job_id, in_flight=1, stopping=lambda: bool(service.asked)))
    assert await turn is ReleaseAnswer.WAITING

    assert service.asked == [("GET", MISSING[0])]
    assert (await harness.job(job_id)).counts.pending == 2
    assert not [key async for key in harness.redis.scan_iter(match=claim_key("*"))]
    assert not await harness.redis.exists(JobKeys(job_id).tries)


async def test_a_row_that_another_job_works_on_may_still_show_it(harness, service):
    """A run that ends before decides nothing."""
    other = claim_of(service.right.base_url, STORED[0])
    await harness.ledger.claims.swap(SOMEBODY, take=[other])
    job_id = await harness.submit(*patches(MISSING[0], STORED[0]))
    await harness.turn(job_id, in_flight=1, seconds=0.5)
    assert ((await harness.job(job_id)).state, service.asked) == (JobState.RUNNING, [("GET", MISSING[0])])

    await harness.ledger.claims.swap(SOMEBODY, give_up=[GivenUp(other)])
    assert await harness.turn(job_id, in_flight=1) is ReleaseAnswer.FINISHED


async def test_a_shard_of_one_row_asks_for_what_another_shard_found(harness, service):
    """In another process and any time ago: its memory of what it found is not this one's."""
    job_id = await harness.submit(*patches(*STORED[:3], MISSING[0]), shard_rows=3)
    await harness.turn(job_id, 0, in_flight=1)
    harness.known = KnownCompletions()
    await harness.turn(job_id, 1, in_flight=1)

    job = await harness.job(job_id)
    assert (job.state, job.counts.failed, job.counts.updated) == (JobState.FINISHED, 1, 3)
    assert service.asked[-2:] == [("GET", MISSING[0]), ("GET", STORED[0])]


async def test_a_shard_of_one_row_waits_a_little_for_what_other_shards_find(harness, service):
    """They are carried out at the same time."""
    job_id = await harness.submit(*patches(MISSING[0], *STORED[:1]), shard_rows=1)
    first = asyncio.create_task(harness.turn(job_id, 0, in_flight=1))
    await wait_until(lambda: bool(service.asked), within=20, what="the missing row is asked for")
    await harness.turn(job_id, 1, in_flight=1)
    await first

    job = await harness.job(job_id)
    assert (job.state, job.counts.failed, job.counts.updated) == (JobState.FINISHED, 1, 1)


async def test_what_a_shard_found_and_is_gone_shows_nothing(harness, service):
    """The URL went wrong in mid-job: nothing is found by it any more."""
    job_id = await harness.submit(*patches(*STORED[:4]), shard_rows=3)
    await harness.turn(job_id, 0, in_flight=1)
    service.completions.clear()
    await harness.turn(job_id, 1, in_flight=1)

    job = await harness.job(job_id)
    assert (job.state, job.reason_code, job.counts.failed) == (JobState.PAUSED, "unknown_url", 0)


async def test_rows_that_pages_serve_are_held_back_alike(harness, sandbox):
    """The first row is missing, and the page that shows the others begins after none that is known."""
    ids = [new_id(NOON + number, f"{number:024d}") for number in range(60)]
    for number, each in enumerate(ids):
        sandbox.store.add(Completion(each, NOON + number, {}))
    harness.fault("answer", id=ids[0], answer={"status": 404, "body": {"detail": "Not Found"}})
    job_id = await harness.submit(*patches(*ids), kind=Kind.PLAN)
    await harness.turn(job_id, in_flight=1)

    job = await harness.job(job_id)
    assert (job.state, job.counts.failed, job.counts.would_change) == (JobState.FINISHED, 1, 59)
    assert len(sandbox.log.entries) < 30
