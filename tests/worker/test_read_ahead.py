"""Rows that are read by pages of the list: as they would be by GETs, and never with more requests."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from ledger.job_spec import Kind
from ledger.row import Outcome
from ledger.shards import ReleaseAnswer
from ratelimit.limits import Limit
from sandbox.completion import Completion, new_id
from tests.harness.wait import wait_until
from tests.harness.worker_harness import WorkerHarness
from worker.read_ahead import PageReach
from worker.service import Service

NOON = 1_795_000_000
WOULD_CHANGE, UNCHANGED, FAILED, DRIFTED = Outcome.WOULD_CHANGE, Outcome.UNCHANGED, Outcome.FAILED, Outcome.DRIFTED


def stored(sandbox, count, *, seconds=2.0, team=lambda _number: "blue"):
    """Store completions, and return their ids by age; `seconds` are those between two."""
    draw, ids = random.Random(7), []
    for number in range(count):
        created = NOON + int(number * seconds)
        ids.append(new_id(created, f"{draw.randrange(10**18):024d}"))
        sandbox.store.add(Completion(ids[-1], created, {"team": team(number), "kept": str(number)}))
    return ids


def asked(harness):
    """How many GETs and pages were sent."""
    operations = [entry.operation for entry in harness.sandbox.log.entries]
    return operations.count("get"), operations.count("list")


@pytest.fixture
def plan(harness):
    harness.stop_clocks()

    async def plan_it(ids, patch=None, *, kind=Kind.PLAN, **options):
        job_id = await harness.submit(*[(each, patch or {"team": "red"}) for each in ids], kind=kind, **options)
        assert await harness.turn(job_id) is ReleaseAnswer.FINISHED
        return await harness.rows(job_id)

    return plan_it


@pytest.mark.parametrize("shuffled", [False, True])
async def test_a_page_serves_every_row_on_it(harness, plan, shuffled):
    ids = stored(harness.sandbox, 400, team=lambda number: "red" if number % 10 == 0 else "blue")
    in_file = random.Random(3).sample(ids, len(ids)) if shuffled else ids

    rows = await plan(in_file)

    gets, pages = asked(harness)
    assert gets + pages <= 20
    for each, row in zip(in_file, rows, strict=True):
        number = ids.index(each)
        assert row.outcome is (UNCHANGED if number % 10 == 0 else WOULD_CHANGE)
        assert row.before == (None if number % 10 == 0 else {"team": "blue", "kept": str(number)})


@pytest.mark.parametrize("density", [0.01, 0.02, 0.05, 0.1])
async def test_it_takes_no_more_requests_than_gets_where_few_rows_lie_on_a_page(harness, plan, density):
    """Rows at random: what is expected of a page is reckoned from how far the last one reached."""
    ids = stored(harness.sandbox, int(200 / density))
    chosen = random.Random(11).sample(ids, 200)

    rows = await plan(chosen)

    assert {row.outcome for row in rows} == {WOULD_CHANGE}
    assert sum(asked(harness)) <= 200 * min(1.0, 1.5 * 0.01 / density)


async def test_rows_that_are_far_apart_take_one_page_in_vain_at_most(harness, plan):
    """And the next jobs of the process none."""
    harness.reach = PageReach()
    ids = stored(harness.sandbox, 12_000)

    await plan(ids[50::200])
    first = asked(harness)
    await plan(ids[60::200])

    assert sum(first) <= 61
    assert sum(asked(harness)) - sum(first) == 60
    assert asked(harness)[1] == first[1] == 1


async def test_of_few_rows_none_is_read_by_a_page(harness, plan):
    ids = stored(harness.sandbox, 40)

    await plan(ids)

    assert asked(harness) == (40, 0)


async def test_a_completion_that_is_on_no_page_is_read_by_itself(harness, plan):
    """A list that lags or filters says nothing of it: it may exist, or not."""
    ids = stored(harness.sandbox, 100)
    harness.sandbox.store.delete(ids[40])

    rows = await plan(ids)

    assert rows[40].outcome is FAILED
    assert rows[40].detail.code == "not_found"
    assert [row.outcome for row in rows[41:]] == [WOULD_CHANGE] * 59


async def test_what_fails_by_a_page_is_read_by_itself_first(harness, plan):
    """The page lags: what it shows would have too many pairs, what is there has not."""
    full = {f"key{number}": "v" for number in range(16)}
    ids = stored(harness.sandbox, 60)
    harness.sandbox.configure(list_lag_s=3600)
    completion = harness.sandbox.store._completions[ids[30]]
    completion.metadata = full
    completion.update({"one": "v"}, now=time.monotonic(), lag_s=3600)

    rows = await plan(ids)

    assert (rows[30].outcome, rows[30].before) == (WOULD_CHANGE, {"one": "v"})


@pytest.mark.parametrize("shows", ["no metadata", "null", "nothing at all"])
async def test_a_page_that_shows_no_metadata_costs_no_outcome(harness, plan, shows):
    ids = stored(harness.sandbox, 60)
    kind = {"no metadata": "no_metadata", "null": "null_metadata", "nothing at all": "bad_body_html"}[shows]
    harness.sandbox.add_faults([{"fault": kind, "match": {"operation": "list"}}])

    rows = await plan(ids)

    assert [row.outcome for row in rows] == [WOULD_CHANGE] * 60
    assert asked(harness)[1] == 1


@pytest.mark.parametrize("status", [401, 403, 404, 405, 500])
async def test_a_service_whose_list_fails_is_read_by_gets(harness, plan, status):
    """The job goes on, and the next one of this process asks for no page."""
    harness.reach = PageReach()
    ids = stored(harness.sandbox, 60)
    answer = {"status": status, "body": {"error": {"message": "no", "code": None}}}
    harness.sandbox.add_faults([{"fault": "answer", "match": {"operation": "list"}, "answer": answer}])

    rows = await plan(ids)
    pages = asked(harness)[1]
    await plan(ids)

    assert [row.outcome for row in rows] == [WOULD_CHANGE] * 60
    assert (pages, asked(harness)[1]) == (1, 1)


async def test_a_429_to_a_page_pauses_all_and_costs_nothing_else(harness, plan):
    ids = stored(harness.sandbox, 60)
    harness.sandbox.add_faults([{"fault": "rate_limited", "match": {"operation": "list"}, "times": 1, "seconds": 0.01}])

    rows = await plan(ids)

    assert [row.outcome for row in rows] == [WOULD_CHANGE] * 60
    assert asked(harness)[0] < 30


async def test_a_deleted_completion_after_which_a_page_was_to_begin_costs_nothing_else(harness, plan):
    ids = stored(harness.sandbox, 120)
    harness.sandbox.add_faults([{"fault": "cursor_deleted", "match": {"operation": "list"}, "times": 1}])

    rows = await plan(ids)

    assert sum(row.outcome is WOULD_CHANGE for row in rows) == 120


async def test_a_verify_reports_no_difference_that_only_a_page_shows(harness, plan):
    """The page lags behind; each difference is confirmed by a GET, and so is one that is really there."""
    ids = stored(harness.sandbox, 80, team=lambda _number: "red")
    harness.sandbox.configure(list_lag_s=3600)
    store, now = harness.sandbox.store, time.monotonic()
    for number in (10, 11):
        late = store._completions[ids[number]]
        late.metadata = {"team": "blue"}
        late.update({"team": "red"}, now=now, lag_s=3600)
    store._completions[ids[12]].metadata = {"team": "green"}

    rows = await plan(ids, kind=Kind.VERIFY)

    assert [number for number, row in enumerate(rows) if row.outcome is not UNCHANGED] == [12]
    assert rows[12].outcome is DRIFTED
    gets, pages = asked(harness)
    assert gets + pages <= 20


async def test_ids_that_show_no_age_are_read_by_gets(harness, plan):
    ids = [f"resp_{number:08d}" for number in range(30)]
    harness.sandbox.store.load({each: {"team": "blue"} for each in ids})

    rows = await plan(ids)

    assert [row.outcome for row in rows] == [WOULD_CHANGE] * 30
    assert asked(harness) == (30, 0)


# --- writes ---

PROBED = Service(pages_serve_writes=True)


@pytest.fixture
async def merging(redis, start):
    """A harness whose service merges, where a probe found that pages may serve writes."""
    harness = WorkerHarness(redis, await start(semantics="merge"))
    harness.service = PROBED
    harness.stop_clocks()
    return harness


async def carry_out(harness, ids, patch=None, **options):
    job_id = await harness.submit(*[(each, patch or {"team": "red"}) for each in ids], **options)
    await harness.turn(job_id)
    return await harness.rows(job_id)


async def test_a_dense_merge_job_takes_one_request_a_row_and_a_few_pages(merging):
    """Each write sends the patch's keys alone, and what the page showed is the before-image."""
    ids = stored(merging.sandbox, 400, team=lambda number: "red" if number % 50 == 0 else "blue")

    rows = await carry_out(merging, ids)

    gets, pages = asked(merging)
    assert gets + pages <= 20
    assert {len(entry.metadata) for entry in merging.sent("POST")} <= {1, 2}
    assert sum(len(entry.metadata) == 2 for entry in merging.sent("POST")) <= gets
    for number, row in enumerate(rows):
        is_there = number % 50 == 0
        assert (row.outcome, row.detail) == (UNCHANGED if is_there else Outcome.UPDATED, None)
        assert row.before == (None if is_there else {"team": "blue", "kept": str(number)})
        assert merging.sandbox.store.metadata(ids[number]) == {"team": "red", "kept": str(number)}


@pytest.mark.parametrize(
    ("service", "options"),
    [(Service(), {}), (PROBED, {"mode": "replace"}), (PROBED, {"mode": "replace", "journal": False})],
)
async def test_without_a_probes_word_or_a_merge_every_row_is_read_by_itself(merging, service, options):
    merging.service = service
    merging.sandbox.configure(semantics=options.get("mode", "merge"))
    ids = stored(merging.sandbox, 60)

    await carry_out(merging, ids, **options)

    assert asked(merging) == (0 if options.get("journal") is False else 60, 0)


async def test_a_row_that_removes_a_key_is_read_by_itself_where_null_removes_none(merging):
    ids = stored(merging.sandbox, 60)

    rows = await carry_out(merging, ids, {"team": None})

    assert {row.detail.code for row in rows} == {"key_not_removed"}
    assert asked(merging)[0] >= 60


@pytest.mark.parametrize("journal", [True, False])
async def test_a_reply_that_contradicts_the_page_has_the_image_corrected_by_a_get(merging, journal):
    """Another key was changed, and one added, after the page was made: both stay, and stand in the image."""
    ids = stored(merging.sandbox, 120)
    merging.sandbox.configure(list_lag_s=3600)
    completion = merging.sandbox.store._completions[ids[50]]
    completion.update({"team": "blue", "kept": "other", "new": "1"}, now=time.monotonic(), lag_s=3600)

    rows = await carry_out(merging, ids, journal=journal)

    row = rows[50]
    assert (row.outcome, row.detail.code) == (Outcome.UPDATED, "confirmed_by_read")
    assert merging.sandbox.store.metadata(ids[50]) == {"team": "red", "kept": "other", "new": "1"}
    assert row.before == ({"team": "blue", "kept": "other", "new": "1"} if journal else None)
    sent = [(entry.method, entry.operation) for entry in merging.sent() if entry.id == ids[50]]
    assert sent == [("POST", "update"), ("GET", "get")]
    assert {each.outcome for each in rows} == {Outcome.UPDATED}
    assert sum(each.detail is not None for each in rows) == 1


@pytest.mark.parametrize("kind", ["reset_after", "error_500_after", "no_metadata", "null_metadata", "ignored", "echo"])
async def test_a_write_by_a_page_that_gets_no_clear_answer_ends_as_it_would_by_a_get(merging, kind):
    ids = stored(merging.sandbox, 60)
    merging.fault(kind, "POST", times=1, id=ids[40])

    rows = await carry_out(merging, ids)

    assert {row.outcome for row in rows} == {Outcome.UPDATED}
    assert rows[40].before == {"team": "blue", "kept": "40"}
    assert merging.sandbox.store.metadata(ids[40]) == {"team": "red", "kept": "40"}


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("only_listed", [False, True])
async def test_what_somebody_else_changed_drifts_as_it_would_by_a_get(merging, only_listed, exact):
    """What only a page shows that lags behind does not."""
    ids = stored(merging.sandbox, 120)
    applied = await merging.submit(*[(each, {"team": "red"}) for each in ids])
    assert await merging.turn(applied) is ReleaseAnswer.FINISHED
    await merging.forget_writes()
    store = merging.sandbox.store
    for number in (20, 70):
        completion = store._completions[ids[number]]
        completion.metadata = {"team": "green", "kept": "x"}
        if only_listed:
            completion.update({"team": "red", "kept": "x"}, now=time.monotonic(), lag_s=3600)
            merging.sandbox.configure(list_lag_s=3600)
    job_id = await merging.submit(*[(each, {"team": "blue"}, {"team": "red"}) for each in ids], exact=exact)
    assert await merging.turn(job_id) is ReleaseAnswer.FINISHED
    rows = await merging.rows(job_id)

    assert [number for number, row in enumerate(rows) if row.outcome is DRIFTED] == ([] if only_listed else [20, 70])
    assert store.metadata(ids[20]) == {"team": "blue" if only_listed else "green", "kept": "x"}


async def test_an_image_that_is_too_old_is_read_again_before_the_write(merging):
    """The rate is slow: what a page showed seconds ago is no base for a write."""
    ids = stored(merging.sandbox, 60)
    merging.limit = Limit(100.0, 1)

    async def pass_time():
        await wait_until(lambda: len(merging.sent("POST")) > 10, within=60, what="some writes")
        merging.slept_s += 20.0

    passing = asyncio.create_task(pass_time())
    rows = await carry_out(merging, ids)
    await passing

    assert {row.outcome for row in rows} == {Outcome.UPDATED}
    assert asked(merging)[0] > 20
