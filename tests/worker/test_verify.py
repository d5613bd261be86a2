"""The rows of a verify: what holds, and why what differs does."""

from __future__ import annotations

import pytest

from config.canary import CanaryShare
from ledger.job import JobState
from ledger.job_spec import Kind, Mode
from ledger.row import Metadata, Outcome, Patch
from ledger.shards import ReleaseAnswer
from producer.check import check_made
from producer.submit import JobRequest, submit
from producer.verify import verify_rows
from report.rows import row_status
from worker.service import Service
from worker.verifying import CAUSES, CHANGED_BY_JOB, CHANGED_ELSEWHERE, GONE, NOT_APPLIED, Verifying, differing_keys

OTHER = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgqY"
THIRD = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgqZ"


async def submitted(harness, folder, rows, spec, kind, **options):
    """Submit the rows that are made of a job as the command line does."""
    request = JobRequest("made", spec.mode, True, spec.target, spec.shard_rows, 600.0, kind=kind, again=True)
    request = request._replace(parent=spec.job_id, **options)
    with await check_made(rows, columns=spec.columns, mode=spec.mode, spool_dir=folder) as checked:
        return (await submit(checked, request, ledger=harness.ledger, announce=lambda *_: None)).job_id


@pytest.fixture
def verify(harness, tmp_path):
    """Verify a job and give the rows of the verify by id."""

    async def verify(job_id, *, lags=False):
        spec = (await harness.ledger.jobs.get(job_id)).spec
        rows = verify_rows(harness.ledger, spec)
        verify_id = await submitted(harness, tmp_path, rows, spec, Kind.VERIFY)
        updates = len(harness.sent("POST"))
        if not lags:
            await harness.forget_writes()
        for shard in range(spec.shards):
            await harness.turn(verify_id, shard)
        assert (await harness.job(verify_id)).state is JobState.FINISHED
        assert len(harness.sent("POST")) == updates, "nothing is written"
        return {row.patch.completion_id: row for row in await harness.rows(verify_id)}

    return verify


@pytest.fixture
def change(harness, tmp_path):
    """Submit a job with an index, as the command line does, and carry it out; return its id."""

    async def change(*patches, mode=Mode.MERGE, journal=True, canary=None):
        async def rows():
            for line, (completion_id, patch) in enumerate(patches, 2):
                yield Patch(line, completion_id, patch)

        spec = (await harness.ledger.jobs.get(await harness.submit(patches[0]))).spec
        await harness.ledger.jobs.discard(spec.job_id)
        request = JobRequest("change", mode, journal, spec.target, 2, 600.0, again=True, canary=canary)
        with await check_made(rows(), columns=spec.columns, mode=mode, spool_dir=tmp_path) as checked:
            job_id = (await submit(checked, request, ledger=harness.ledger, announce=lambda *_: None)).job_id
        for shard in range((await harness.job(job_id)).spec.shards):
            assert await harness.turn(job_id, shard) in {ReleaseAnswer.FINISHED, ReleaseAnswer.CLOSED}
        return job_id

    return change


@pytest.fixture
def stored(harness, completion_id):
    """Store three completions and give what they hold."""
    held = {completion_id: {"team": "blue", "old": "x"}, OTHER: {}, THIRD: {"team": "red"}}
    harness.sandbox.store.load(held)
    return held


REFUSAL = {"status": 400, "body": {"error": {"code": "refused", "message": "no"}}}
PATCH = {"team": "green", "old": None, "new": "n"}


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("journal", [True, False])
async def test_what_a_job_left_holds(harness, stored, change, verify, completion_id, mode, journal):
    """Of rows that it wrote, and of those that were as they should be; each is read once."""
    job_id = await change((completion_id, PATCH), (OTHER, PATCH), (THIRD, {"team": "red"}), mode=mode, journal=journal)
    reads = len(harness.sent("GET"))

    rows = await verify(job_id)

    assert {row.outcome for row in rows.values()} == {Outcome.UNCHANGED}
    assert [row.before for row in rows.values()] == [None] * 3
    assert len(harness.sent("GET")) == reads + 3


async def test_a_change_of_another_key_is_no_difference_unless_the_job_replaced_the_whole_map(
    harness, stored, change, verify, completion_id
):
    merged = await change((completion_id, PATCH))
    replaced = await change((OTHER, {"team": "green"}), mode=Mode.REPLACE)
    for each in (completion_id, OTHER):
        harness.sandbox.store.load({each: harness.sandbox.store.dump()[each] | {"added": "a"}})

    assert (await verify(merged))[completion_id].outcome is Outcome.UNCHANGED
    row = (await verify(replaced))[OTHER]
    assert (row.outcome, row.detail.code) == (Outcome.DRIFTED, CHANGED_ELSEWHERE)
    assert "added" in row.detail.message


async def test_each_difference_has_its_cause(harness, stored, change, verify, completion_id):
    """A later job, named; somebody else; what was there before; and what is not there any more."""
    fourth = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgq0"
    harness.sandbox.store.load({fourth: {"team": "grey"}})
    job_id = await change(*((each, {"team": "green"}) for each in (completion_id, OTHER, THIRD, fourth)))
    later = await change((completion_id, {"team": "white"}))
    harness.sandbox.store.load({OTHER: {"team": "pink"}, THIRD: {"team": "red"}})
    harness.sandbox.store.delete(fourth)

    rows = await verify(job_id)

    assert {row.outcome for row in rows.values()} == {Outcome.DRIFTED}
    assert {each: row.detail.code for each, row in rows.items()} == {
        completion_id: CHANGED_BY_JOB,
        OTHER: CHANGED_ELSEWHERE,
        THIRD: NOT_APPLIED,
        fourth: GONE,
    }
    assert later in rows[completion_id].detail.message
    assert [rows[each].before for each in (completion_id, OTHER, THIRD, fourth)] == [
        {"team": "white", "old": "x"},
        {"team": "pink"},
        {"team": "red"},
        None,
    ]


async def test_the_last_job_that_wrote_what_is_held_is_named(harness, stored, change, verify, completion_id):
    """And none that wrote something else, nor one from before the verified job."""
    await change((completion_id, {"team": "white"}))
    job_id = await change((completion_id, {"team": "green"}))
    await change((completion_id, {"team": "grey"}))
    last = await change((completion_id, {"team": "white"}))

    assert last in (await verify(job_id))[completion_id].detail.message

    harness.sandbox.store.load({completion_id: {"team": "nobody's"}})
    assert (await verify(job_id))[completion_id].detail.code == CHANGED_ELSEWHERE


async def test_rows_that_failed_count_by_what_their_completions_hold(harness, stored, change, verify, completion_id):
    """One holds the value all the same; one does not; one was never found."""
    for each in (completion_id, OTHER):
        harness.fault("answer", "POST", id=each, answer=REFUSAL)
    missing = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgq1"
    job_id = await change((completion_id, PATCH), (OTHER, PATCH), (missing, PATCH), (THIRD, PATCH))
    assert (await harness.job(job_id)).counts.failed == 3
    harness.sandbox.store.load({completion_id: {"team": "green", "new": "n"}})

    rows = await verify(job_id)

    assert {each: row.detail.code if row.detail else "" for each, row in rows.items()} == {
        completion_id: "",
        OTHER: NOT_APPLIED,
        missing: NOT_APPLIED,
        THIRD: "",
    }


@pytest.mark.parametrize("fate", ["paused", "cancelled"])
async def test_rows_that_a_job_never_came_to_are_not_applied(harness, stored, verify, completion_id, fate):
    """Unless they hold the value all the same. Of a paused job they are open still."""
    job_id = await harness.submit((completion_id, PATCH), (OTHER, PATCH), (THIRD, {"team": "red"}), shard_rows=1)
    await harness.turn(job_id, 0)
    if fate == "paused":
        await harness.ledger.jobs.pause(job_id, by="ada@a", code="paused", reason="by ada@a")
    else:
        await harness.ledger.jobs.cancel(job_id, by="ada@a")
        await harness.ledger.shards.close_all((await harness.job(job_id)).spec, Outcome.CANCELLED)

    rows = await verify(job_id)

    assert {each: row.detail.code if row.detail else "" for each, row in rows.items()} == {
        completion_id: "",
        OTHER: NOT_APPLIED,
        THIRD: "",
    }
    why = {"paused": "the row has not ended", "cancelled": "the row ended as cancelled"}[fate]
    assert why in rows[OTHER].detail.message


@pytest.mark.parametrize("held", ["GREEN", "green"])
async def test_what_the_service_made_of_a_value_is_the_jobs_own(harness, stored, change, verify, completion_id, held):
    """So is what the job meant, where somebody has set it since."""
    job_id = await change((completion_id, PATCH), (OTHER, PATCH))
    await harness.journal(job_id, 0, stored[completion_id], altered={"team": "GREEN"})
    harness.sandbox.store.load({completion_id: {"team": held, "new": "n"}})

    assert (await verify(job_id))[completion_id].outcome is Outcome.UNCHANGED


async def test_a_read_that_lags_is_waited_for_and_never_believed_against_what_is_read(
    harness, stored, change, verify, completion_id
):
    """Nothing is proved by a write that no read shows."""
    job_id = await change((completion_id, {"team": "green"}))
    harness.service = Service(stale_s=0.2)
    harness.sandbox.store.load({completion_id: stored[completion_id]})
    reads = len(harness.sent("GET"))

    row = (await verify(job_id, lags=True))[completion_id]

    assert len(harness.sent("GET")) > reads + 1
    assert (row.outcome, row.detail.code) == (Outcome.DRIFTED, NOT_APPLIED)


async def test_what_a_killed_worker_saw_is_not_what_a_row_holds_in_the_end(harness, completion_id):
    """It had kept the image of a difference, and died before it settled the row, which holds when it is read again."""
    job_id = await harness.submit((completion_id, {"team": "blue"}), kind=Kind.VERIFY)
    await harness.journal(job_id, 0, {"team": "pink"})

    await harness.turn(job_id)

    row, spec = await harness.row(job_id), (await harness.job(job_id)).spec
    assert (row.outcome, row.before) == (Outcome.UNCHANGED, {"team": "pink"})
    assert row_status(row, spec).holds is None


async def test_a_completion_that_cannot_be_read_is_no_difference(harness, stored, change, verify, completion_id):
    job_id = await change((completion_id, PATCH))
    harness.fault("answer", "GET", answer=REFUSAL)

    row = (await verify(job_id))[completion_id]

    assert row.outcome is Outcome.FAILED


@pytest.mark.parametrize("canary", [None, CanaryShare.parse("50%")])
async def test_a_job_of_several_shards_is_compared_row_by_row(harness, change, verify, canary):
    """The number of a row leads to the same completion in the verified job, also where a canary went first."""
    ids = [f"chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpg{number:03d}" for number in range(45)]
    harness.sandbox.store.load({each: {} for each in ids})
    job_id = await change(*((each, {"team": each[-3:]}) for each in ids), canary=canary)
    assert (await harness.job(job_id)).spec.canary == (0 if canary is None else 23)
    harness.sandbox.store.load({each: {} for each in ids[1::2]})

    rows = await verify(job_id)

    assert [rows[each].detail.code if rows[each].detail else "" for each in ids] == ["", NOT_APPLIED] * 22 + [""]


HELD: Metadata = {"team": "green", "other": "o"}


@pytest.mark.parametrize(
    ("mode", "meant", "made", "expected"),
    [
        (Mode.MERGE, {"team": "green", "gone": None}, None, []),
        (Mode.MERGE, {"team": "blue", "other": None}, None, ["other", "team"]),
        (Mode.MERGE, {"team": "Green"}, {"team": "green"}, []),
        (Mode.MERGE, {"team": "Green"}, {"team": None}, ["team"]),
        (Mode.REPLACE, {"team": "green"}, None, ["other"]),
        (Mode.REPLACE, {"team": "green", "other": "o"}, None, []),
        (Mode.REPLACE, {"team": "green"}, {"other": "o"}, []),
    ],
)
async def test_what_a_list_page_shows_settles_a_row_only_where_it_holds(harness, mode, meant, made, expected):
    """A difference is confirmed by a read."""
    patch = Patch(2, "x", meant, made)
    job_id = await harness.submit(("x", meant), mode=mode, kind=Kind.VERIFY)
    verifying = Verifying(harness.ledger, (await harness.job(job_id)).spec, first_row=0)

    assert differing_keys(patch, HELD, mode) == expected
    assert verifying.is_clear(patch, HELD) == (not expected)


async def test_a_seen_difference_is_read_before_it_counts(harness, stored, completion_id):
    """And one that is not confirmed is none."""
    stale = await harness.submit((completion_id, {"team": "blue"}), kind=Kind.VERIFY, seen={"team": "stale"})
    clear = await harness.submit((completion_id, {"team": "blue"}), kind=Kind.VERIFY, seen={"team": "blue"})

    for job_id, reads in ((stale, 1), (clear, 1)):
        await harness.turn(job_id)
        assert (await harness.row(job_id)).outcome is Outcome.UNCHANGED
        assert len(harness.sent("GET")) == reads


def test_every_cause_is_explained(pytestconfig):
    page = (pytestconfig.rootpath / "docs" / "outcomes.md").read_text()

    assert [code for code in CAUSES if f"`{code}`" not in page] == []
