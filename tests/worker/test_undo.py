"""A job is taken back exactly: what it changed is restored, what others changed since is left alone."""

from __future__ import annotations

import pytest

from ledger.job import JobState
from ledger.job_spec import Kind, Mode
from ledger.keys import JobKeys
from ledger.row import Outcome
from producer.check import check_made
from producer.submit import JobRequest, submit
from producer.undo import undo_columns, undo_rows
from worker.service import Service

OTHER = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgqY"
THIRD = "chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7XHpgqZ"


async def submit_undo(harness, job_id, folder, **limits):
    """Submit the undo of a job as the command line does."""
    spec = (await harness.ledger.jobs.get(job_id)).spec
    order = JobRequest("undo", Mode.MERGE, True, spec.target, 500, 600.0, kind=Kind.UNDO, parent=job_id, again=True)
    rows = undo_rows(harness.ledger, spec, **limits)
    with await check_made(rows, columns=undo_columns(spec.columns), mode=Mode.MERGE, spool_dir=folder) as checked:
        return (await submit(checked, order, ledger=harness.ledger, announce=lambda *_: None)).job_id


@pytest.fixture
def undo(harness, tmp_path):
    """Take a job back and give the rows of its undo by id."""

    async def undo(job_id, **limits):
        undo_id = await submit_undo(harness, job_id, tmp_path, **limits)
        if (await harness.job(undo_id)).state is not JobState.FINISHED:
            await harness.turn(undo_id)
        assert (await harness.job(undo_id)).state is JobState.FINISHED
        undo.job_id = undo_id
        return {row.patch.completion_id: row for row in await harness.rows(undo_id)}

    return undo


@pytest.fixture
def stored(harness, completion_id):
    """Store three completions and give what they hold."""
    held = {completion_id: {"team": "blue", "old": "x"}, OTHER: {}, THIRD: {"team": "red"}}
    harness.sandbox.store.load(held)
    return held


PATCH = {"team": "green", "old": None, "new": "n"}


@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_an_undo_leaves_everything_as_it_was_before(harness, stored, undo, completion_id, mode):
    """Keys that were changed, added and removed come back, also those that a replace swept away."""
    job_id = await harness.submit((completion_id, PATCH), (OTHER, PATCH), (THIRD, {"team": "red"}), mode=mode)
    await harness.turn(job_id)
    assert harness.sandbox.store.dump() != stored

    rows = await undo(job_id)

    assert harness.sandbox.store.dump() == stored
    # the third row was right already: the job changed nothing, so there is nothing to take back
    assert {each: row.outcome for each, row in rows.items()} == dict.fromkeys((completion_id, OTHER), Outcome.UPDATED)
    spec = (await harness.job(undo.job_id)).spec
    assert (spec.kind, spec.parent, spec.journal) == (Kind.UNDO, job_id, True)


async def test_a_later_edit_of_the_same_key_is_left_alone(harness, stored, undo, completion_id):
    """The row has drifted: the key is named, no value is, nothing is sent; its neighbour is restored."""
    job_id = await harness.submit((completion_id, PATCH), (OTHER, PATCH))
    await harness.turn(job_id)
    edited = harness.sandbox.store.metadata(completion_id) | {"team": "secret team"}
    harness.sandbox.store.load({completion_id: edited})
    sent = len(harness.sent("POST"))

    rows = await undo(job_id)

    drifted = rows[completion_id]
    assert (drifted.outcome, drifted.detail.code, drifted.before) == (Outcome.DRIFTED, "changed_since", None)
    assert "team" in drifted.detail.message
    assert "secret" not in drifted.detail.message
    assert harness.sandbox.store.dump() == stored | {completion_id: edited}
    assert [entry.id for entry in harness.sent("POST")][sent:] == [OTHER]


async def test_a_later_edit_of_another_key_does_not_matter(harness, stored, undo, completion_id):
    """The undo of a merge and of a replace touches the keys that the job changed, and no others."""
    for mode in ("merge", "replace"):
        job_id = await harness.submit((completion_id, {"team": "green"}), mode=mode)
        await harness.turn(job_id)
        harness.sandbox.store.load({completion_id: harness.sandbox.store.metadata(completion_id) | {"theirs": mode}})

        await undo(job_id)

        assert harness.sandbox.store.metadata(completion_id) == stored[completion_id] | {"theirs": mode}
        harness.sandbox.store.load(stored)


async def test_an_edit_that_took_the_key_back_already_is_no_drift(harness, stored, undo, completion_id):
    """A key that holds its old value again needs nothing; the others are restored."""
    job_id = await harness.submit((completion_id, PATCH), (OTHER, PATCH))
    await harness.turn(job_id)
    harness.sandbox.store.load({completion_id: {"team": "blue", "new": "n"}, OTHER: {}})
    await harness.forget_writes()

    rows = await undo(job_id)

    assert harness.sandbox.store.dump() == stored
    assert (rows[completion_id].outcome, rows[OTHER].outcome) == (Outcome.UPDATED, Outcome.UNCHANGED)


async def test_force_restores_over_later_edits(harness, stored, undo, completion_id):
    """Whatever the keys hold now, they get what they held before the job."""
    job_id = await harness.submit((completion_id, PATCH))
    await harness.turn(job_id)
    harness.sandbox.store.load({completion_id: {"team": "theirs", "old": "theirs", "theirs": "t"}})

    rows = await undo(job_id, force=True)

    assert rows[completion_id].outcome is Outcome.UPDATED
    assert harness.sandbox.store.metadata(completion_id) == stored[completion_id] | {"theirs": "t"}


async def test_an_undo_may_be_limited_to_some_keys(harness, stored, undo, completion_id):
    """The other keys keep what the job gave them; a row without such a key is left out."""
    job_id = await harness.submit((completion_id, PATCH), (OTHER, {"new": "n"}))
    await harness.turn(job_id)

    rows = await undo(job_id, keys={"team"})

    assert rows.keys() == {completion_id}
    assert harness.sandbox.store.metadata(completion_id) == {"team": "blue", "new": "n"}
    assert harness.sandbox.store.metadata(OTHER) == {"new": "n"}


@pytest.mark.parametrize("mode", ["merge", "replace"])
async def test_an_undo_of_the_undo_gives_back_what_the_job_had_made(harness, stored, undo, completion_id, mode):
    """And once more, to and fro."""
    job_id = await harness.submit((completion_id, PATCH), (OTHER, PATCH), mode=mode)
    await harness.turn(job_id)
    made = harness.sandbox.store.dump()

    await undo(job_id)
    await undo(undo.job_id)
    assert harness.sandbox.store.dump() == made

    await undo(job_id)
    assert harness.sandbox.store.dump() == stored


@pytest.mark.parametrize("fault", ["reset_after", "error_500_after"])
async def test_a_row_that_failed_although_it_was_written_is_taken_back(harness, stored, undo, completion_id, fault):
    """The answers were lost, and the reads after them failed: the before-image tells."""
    job_id = await harness.submit((completion_id, PATCH), (OTHER, PATCH))
    harness.fault(fault, "POST", id=completion_id)
    harness.fault("error_500", "GET", id=completion_id, after=1)
    await harness.turn(job_id, attempts=2)
    harness.sandbox.faults.clear()
    rows = {row.patch.completion_id: row for row in await harness.rows(job_id)}
    assert rows[completion_id].outcome is Outcome.FAILED
    assert harness.sandbox.store.metadata(completion_id) == {"team": "green", "new": "n"}

    await harness.forget_writes()  # until then, the undo waits for a write that may yet be applied
    await undo(job_id)

    assert harness.sandbox.store.dump() == stored


async def test_a_row_whose_write_never_came_through_is_unchanged(harness, stored, undo, completion_id):
    """There is a before-image, but nothing to take back: the undo looks and sends nothing."""
    job_id = await harness.submit((completion_id, PATCH), (OTHER, PATCH))
    answer = {"status": 400, "body": {"error": {"message": "no", "code": "no"}}}
    harness.fault("answer", "POST", id=completion_id, answer=answer)
    await harness.turn(job_id)
    sent = len(harness.sent("POST"))

    rows = await undo(job_id)

    assert rows[completion_id].outcome is Outcome.UNCHANGED
    assert [entry.id for entry in harness.sent("POST")][sent:] == [OTHER]
    assert harness.sandbox.store.dump() == stored


async def test_a_job_that_was_cancelled_half_way_is_taken_back(harness, stored, undo, completion_id):
    """Done rows and one that was killed between its write and its settlement; rows never begun are left out."""
    job_id = await harness.submit((completion_id, PATCH), (OTHER, PATCH), (THIRD, PATCH), shard_rows=1)
    await harness.turn(job_id, 0)
    await harness.ledger.jobs.cancel(job_id, by="test")
    await harness.redis.append(*await journal_of(harness, job_id, shard=1, metadata={}))
    harness.sandbox.store.load({OTHER: {"team": "green", "new": "n"}})
    await harness.ledger.shards.close_all((await harness.job(job_id)).spec, Outcome.CANCELLED)

    rows = await undo(job_id)

    assert rows.keys() == {completion_id, OTHER}
    assert harness.sandbox.store.dump() == stored


async def journal_of(harness, job_id, *, shard, metadata):
    """What a worker appends to the journal before it writes the shard's first row."""
    from ledger.codec import BeforeImage, pack_images

    return JobKeys(job_id).journal(shard), pack_images([BeforeImage(0, metadata)])


async def test_an_undo_that_was_killed_after_its_write_takes_it_for_its_own(harness, stored, tmp_path, completion_id):
    """What its own write left is no drift: the row is updated, confirmed by a read."""
    job_id = await harness.submit((completion_id, PATCH))
    await harness.turn(job_id)
    undo_id = await submit_undo(harness, job_id, tmp_path)
    await harness.journal(undo_id, 0, harness.sandbox.store.metadata(completion_id))
    harness.sandbox.store.load({completion_id: stored[completion_id]})
    await harness.forget_writes()

    await harness.turn(undo_id)

    row = await harness.row(undo_id)
    assert (row.outcome, row.detail.code) == (Outcome.UPDATED, "confirmed_by_read")
    assert row.before == {"team": "green", "new": "n"}


async def test_a_foreign_edit_after_a_lost_answer_is_left_alone(harness, stored, tmp_path, completion_id):
    """The undo wrote, nobody knows, and then somebody else did: theirs stays."""
    job_id = await harness.submit((completion_id, PATCH))
    await harness.turn(job_id)
    undo_id = await submit_undo(harness, job_id, tmp_path)
    await harness.journal(undo_id, 0, harness.sandbox.store.metadata(completion_id))
    theirs = stored[completion_id] | {"team": "theirs"}
    harness.sandbox.store.load({completion_id: theirs})

    await harness.turn(undo_id)

    assert (await harness.row(undo_id)).outcome is Outcome.DRIFTED
    assert harness.sandbox.store.metadata(completion_id) == theirs


async def test_a_merging_service_gives_values_back_and_tells_the_keys_it_keeps(harness, stored, undo, completion_id):
    """What can be restored is; the key that stays is named."""
    harness.sandbox.configure(semantics="merge")
    job_id = await harness.submit((completion_id, {"team": "green", "new": "n"}), (THIRD, {"team": "green"}))
    await harness.turn(job_id)

    rows = await undo(job_id)

    kept = rows[completion_id]
    assert (kept.outcome, kept.detail.code) == (Outcome.FAILED, "key_not_removed")
    assert "new" in kept.detail.message
    assert harness.sandbox.store.metadata(completion_id) == stored[completion_id] | {"new": "n"}
    assert harness.sandbox.store.metadata(THIRD) == stored[THIRD]


async def test_what_a_merging_service_failed_to_replace_is_taken_back(harness, stored, undo, completion_id):
    """The job's rows failed as `key_not_removed`, and were written all the same."""
    harness.sandbox.configure(semantics="merge")
    job_id = await harness.submit((completion_id, {"team": "green"}), mode="replace")
    await harness.turn(job_id)
    assert (await harness.row(job_id)).detail.code == "key_not_removed"

    rows = await undo(job_id)

    assert rows[completion_id].outcome is Outcome.UPDATED
    assert harness.sandbox.store.metadata(completion_id) == stored[completion_id]


@pytest.mark.parametrize(("values", "patch"), [("trimmed", {"team": " red "}), ("non_empty", {"team": "", "old": "y"})])
async def test_what_the_service_made_of_a_value_is_taken_back_to_the_first_image(
    harness, undo, completion_id, values, patch
):
    """Its value is the job's own doing and no drift; somebody else's is."""
    stored = {completion_id: {"team": "1", "old": "x"}, OTHER: {"team": "1", "old": "x"}}
    harness.sandbox.store.load(stored)
    harness.sandbox.configure(values=values)
    job_id = await harness.submit((completion_id, patch), (OTHER, patch))
    await harness.turn(job_id)
    assert [row.detail.code for row in await harness.rows(job_id)] == ["value_altered"] * 2
    harness.sandbox.store.load({OTHER: {"team": "theirs"}})

    rows = await undo(job_id)

    assert (rows[completion_id].outcome, rows[OTHER].outcome) == (Outcome.UPDATED, Outcome.DRIFTED)
    assert harness.sandbox.store.dump() == {completion_id: stored[completion_id], OTHER: {"team": "theirs"}}


async def test_a_carried_key_that_the_service_dropped_is_tried_to_be_given_back(harness, undo, completion_id):
    """The undo restores what it can, and tells the key that the service will not hold."""
    harness.sandbox.store.load({completion_id: {"team": "blue", "empty": ""}})
    harness.sandbox.configure(values="non_empty")
    job_id = await harness.submit((completion_id, {"team": "red"}))
    await harness.turn(job_id)

    rows = await undo(job_id)

    assert (rows[completion_id].outcome, rows[completion_id].detail.code) == (Outcome.FAILED, "value_altered")
    assert harness.sandbox.store.metadata(completion_id) == {"team": "blue"}


@pytest.mark.parametrize("lag_s", [0.6, 3600.0])
async def test_an_undo_right_after_its_job_restores_although_reads_lag(harness, stored, undo, completion_id, lag_s):
    """It waits for the read to catch up; where that takes too long, it takes the job's write as done."""
    harness.sandbox.configure(read_lag_s=lag_s)
    harness.service = Service(stale_s=20.0 if lag_s < 1 else 0.3)
    job_id = await harness.submit((completion_id, PATCH), (OTHER, PATCH))
    await harness.turn(job_id)

    rows = await undo(job_id)

    assert harness.sandbox.store.dump() == stored
    codes = {row.detail and row.detail.code for row in rows.values()}
    assert codes == ({None} if lag_s < 1 else {"stale_read"})
    assert rows[completion_id].before == {"team": "green", "new": "n"}
