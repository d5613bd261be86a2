"""A 404 of whatever shape fails its own row where the completion is missing, and no row where the URL is wrong."""

from __future__ import annotations

import pytest

from ledger.job import JobState
from ledger.row import Outcome
from tests.harness.shaped_service import SHAPES, Shape, ShapedService, serving
from worker.checked_api import KnownCompletions

MISSING = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpNon"
STORED = [f"chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHp{number}" for number in range(100, 104)]


class At:
    """The service at one of its addresses, as the harness takes it."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url


def patches(*ids: str) -> list[tuple[str, dict[str, str | None]]]:
    """One change a completion."""
    return [(each, {"k": "v"}) for each in ids]


@pytest.mark.parametrize("mode", ["merge", "replace"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_a_missing_completion_fails_its_own_row(harness, shape, mode):
    """The first of the file is missing; the others are there, and are updated."""
    async with serving(ShapedService(shape, *STORED)) as service:
        harness.sandbox = At(service.base_url)
        job_id = await harness.submit(*patches(MISSING, *STORED), mode=mode, journal=mode == "merge")
        await harness.turn(job_id)

    job, (missing, *_) = await harness.job(job_id), await harness.rows(job_id)
    assert (job.state, job.counts.updated, job.counts.failed) == (JobState.FINISHED, 4, 1), job.reason
    assert (missing.outcome, missing.detail.code, missing.detail.status) == (Outcome.FAILED, "not_found", 404)
    assert list(service.completions.values()) == [{"k": "v"}] * 4
    assert job.traffic.requests == len(service.asked)


@pytest.mark.parametrize("mode", ["merge", "replace"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_a_wrong_url_fails_no_row(harness, shape, mode):
    """Without /v1 the job pauses, says so without the id, and every row is left."""
    async with serving(ShapedService(shape, *STORED)) as service:
        harness.sandbox = At(service.address)
        job_id = await harness.submit(*patches(*STORED), mode=mode, journal=mode == "merge")
        await harness.turn(job_id)

    job = await harness.job(job_id)
    assert (job.state, job.reason_code, job.counts.pending) == (JobState.PAUSED, "unknown_url", 4)
    assert not any(each in job.reason for each in STORED)
    assert len(service.asked) <= 4


async def test_a_route_to_read_is_no_proof_of_a_route_to_update(harness):
    """A service with reads alone answers every update with 404: none of the rows is to blame."""
    async with serving(ShapedService(SHAPES["Azure"], *STORED, routes=("GET",))) as service:
        harness.sandbox = At(service.base_url)
        job_id = await harness.submit(*patches(*STORED))
        await harness.turn(job_id)

    job = await harness.job(job_id)
    assert (job.state, job.counts.pending) == (JobState.PAUSED, 4)


async def test_a_file_of_missing_completions_alone_pauses_where_the_service_does_not_say_what_is_missing(harness):
    """Nothing is known to be there: the URL may be wrong, as far as anybody can tell."""
    async with serving(ShapedService(SHAPES["FastAPI"])) as service:
        harness.sandbox = At(service.base_url)
        job_id = await harness.submit(*patches(MISSING))
        await harness.turn(job_id)

    job = await harness.job(job_id)
    assert (job.state, job.reason_code, job.counts.failed) == (JobState.PAUSED, "unknown_url", 0)


async def test_many_missing_completions_at_once_share_a_check(harness):
    """300 rows of one turn, 299 of them missing: one reads for all that wait."""
    missing = [f"{MISSING}{number}" for number in range(299)]
    async with serving(ShapedService(SHAPES["FastAPI"], STORED[0])) as service:
        harness.sandbox = At(service.base_url)
        job_id = await harness.submit(*patches(STORED[0], *missing))
        await harness.turn(job_id, in_flight=300)

    job = await harness.job(job_id)
    assert (job.state, job.counts.failed, job.counts.updated) == (JobState.FINISHED, 299, 1)
    assert len(service.asked) - 301 < 100


async def test_a_completion_that_is_gone_by_now_proves_nothing(harness):
    """The service lost its route in mid-job: what was there before is not found any more either."""
    gone = Shape(lambda *_: {"detail": "Not Found"}, lambda *_: {"detail": "Not Found"})
    known = KnownCompletions()
    async with serving(ShapedService(gone, *STORED)) as service:
        harness.sandbox, harness.known = At(service.base_url), known
        await harness.turn(await harness.submit(*patches(STORED[0])))
        service.completions.clear()
        job_id = await harness.submit(*patches(STORED[1]))
        await harness.turn(job_id)

    job = await harness.job(job_id)
    assert (job.state, job.reason_code, job.counts.failed) == (JobState.PAUSED, "unknown_url", 0)
    assert service.asked[-1] == ("GET", STORED[0])


async def test_a_completion_found_in_one_turn_serves_the_next(harness):
    """A process keeps it in memory: a shard with nothing but missing completions is settled."""
    harness.known = KnownCompletions()
    async with serving(ShapedService(SHAPES["Azure"], STORED[0])) as service:
        harness.sandbox = At(service.base_url)
        await harness.turn(await harness.submit(*patches(STORED[0])))
        job_id = await harness.submit(*patches(MISSING))
        await harness.turn(job_id)

    assert (await harness.row(job_id)).detail.code == "not_found"
