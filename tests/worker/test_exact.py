"""Rows that somebody reviewed: written where all is as it was then, left alone where it is not."""

from __future__ import annotations

import pytest

from ledger.row import Outcome
from producer.undo import undo_rows

BEFORE = {"team": "blue", "note": "old", "kept": "x"}
EXPECT = {"team": "blue", "note": "old", "dataset": None}
PATCH = {"team": "red", "note": None, "dataset": "eval"}
AFTER = {"team": "red", "dataset": "eval", "kept": "x"}


@pytest.fixture
def carried_out(harness, completion_id):
    """Carry out a reviewed row where its completion holds this now, and give the row."""

    async def carry_out(held, patch=PATCH, expect=EXPECT, *, mode="merge"):
        harness.sandbox.store.load({completion_id: held})
        job_id = await harness.submit((completion_id, patch, expect), exact=True, mode=mode)
        await harness.turn(job_id)
        return await harness.row(job_id)

    return carry_out


def held_now(harness, completion_id):
    """What the completion holds."""
    return harness.sandbox.store.metadata(completion_id)


async def test_what_holds_before_is_written(harness, completion_id, carried_out):
    """The other keys stay."""
    row = await carried_out(BEFORE)

    assert (row.outcome, row.before, row.detail) == (Outcome.UPDATED, BEFORE, None)
    assert held_now(harness, completion_id) == AFTER


async def test_what_holds_after_is_unchanged(harness, carried_out):
    """Nothing is sent, and no image is kept."""
    row = await carried_out(AFTER)

    assert (row.outcome, row.before) == (Outcome.UNCHANGED, None)
    assert harness.sent("POST") == []


@pytest.mark.parametrize("edit", [{"kept": "other"}, {"new": "key"}, {}])
async def test_changes_of_other_keys_are_kept_in_a_merge(harness, completion_id, carried_out, edit):
    """They are nobody's concern."""
    row = await carried_out(BEFORE | edit)

    assert row.outcome is Outcome.UPDATED
    assert held_now(harness, completion_id) == AFTER | edit


@pytest.mark.parametrize(
    ("held", "named"),
    [
        (BEFORE | {"team": "secret"}, "team"),
        ({"team": "blue"}, "note"),
        (BEFORE | {"dataset": "secret"}, "dataset"),
        (BEFORE | {"team": "red"}, "team"),
        (BEFORE | {"dataset": "eval"}, "dataset"),
        ({}, "team"),
    ],
)
async def test_anything_else_has_drifted(harness, completion_id, carried_out, held, named):
    """Also what holds only some of what it is to hold: nobody reviewed that. What it holds is kept."""
    row = await carried_out(held)

    assert (row.outcome, row.detail.code, row.before) == (Outcome.DRIFTED, "changed_since", held)
    assert f"somebody else changed {named} since" in row.detail.message
    assert harness.sent("POST") == []
    assert held_now(harness, completion_id) == held


async def test_the_limit_of_pairs_is_checked_again(harness, carried_out):
    """Keys that others added since may leave no room."""
    full = {f"key{number}": "x" for number in range(16)}

    row = await carried_out(full, {"dataset": "eval"}, {"dataset": None})

    assert (row.outcome, row.detail.code) == (Outcome.FAILED, "too_many_pairs")
    assert harness.sent("POST") == []


@pytest.mark.parametrize(
    ("held", "outcome"),
    [
        ({"team": "blue", "note": "old"}, Outcome.UPDATED),
        ({"team": "red", "dataset": "eval"}, Outcome.UNCHANGED),
        ({"team": "blue", "note": "old", "extra": "x"}, Outcome.DRIFTED),
        ({"team": "red", "dataset": "eval", "extra": "x"}, Outcome.DRIFTED),
        ({"team": "blue"}, Outcome.DRIFTED),
        ({"team": "red"}, Outcome.DRIFTED),
        ({}, Outcome.DRIFTED),
    ],
)
async def test_a_replace_was_reviewed_as_a_whole_map(harness, completion_id, carried_out, held, outcome):
    """A key that was added since would be removed unseen, so that the row drifted."""
    patch, expect = {"team": "red", "dataset": "eval"}, {"team": "blue", "note": "old"}

    row = await carried_out(held, patch, expect, mode="replace")

    assert row.outcome is outcome
    if outcome is Outcome.UPDATED:
        assert held_now(harness, completion_id) == patch
    else:
        assert harness.sent("POST") == []


async def test_a_replace_that_clears_everything_is_exact_too(harness, completion_id, carried_out):
    """The whole map after it is empty."""
    assert (await carried_out({"team": "blue"}, {}, {"team": "blue"}, mode="replace")).outcome is Outcome.UPDATED
    assert held_now(harness, completion_id) == {}
    assert (await carried_out({"new": "x"}, {}, {"team": "blue"}, mode="replace")).outcome is Outcome.DRIFTED


async def test_what_a_killed_worker_may_have_written_in_part_is_no_drift(harness, completion_id):
    """The service kept the key that was to go: the next worker finds that, and does not blame somebody else."""
    harness.sandbox.configure(semantics="merge")
    harness.sandbox.store.load({completion_id: BEFORE | {"team": "red", "dataset": "eval"}})
    job_id = await harness.submit((completion_id, PATCH, EXPECT), exact=True)
    await harness.journal(job_id, 0, BEFORE)

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.detail.code) == (Outcome.FAILED, "key_not_removed")


async def test_a_killed_worker_s_write_is_found_in_place(harness, completion_id):
    """Its row is updated, and is not sent again."""
    harness.sandbox.store.load({completion_id: AFTER})
    job_id = await harness.submit((completion_id, PATCH, EXPECT), exact=True)
    await harness.journal(job_id, 0, BEFORE)

    await harness.turn(job_id)

    assert (await harness.row(job_id)).outcome is Outcome.UPDATED
    assert harness.sent("POST") == []


async def test_an_image_of_what_had_drifted_says_nothing_of_a_write(harness, completion_id):
    """The worker died before the row was settled, and somebody put back what was reviewed: the row is written."""
    harness.sandbox.store.load({completion_id: BEFORE})
    job_id = await harness.submit((completion_id, PATCH, EXPECT), exact=True)
    await harness.journal(job_id, 0, BEFORE | {"team": "green"})

    await harness.turn(job_id)

    row = await harness.row(job_id)
    assert (row.outcome, row.before) == (Outcome.UPDATED, BEFORE)


async def test_an_undo_leaves_out_what_had_drifted(harness, completion_id):
    """It was never written; the others are restored."""
    other = f"{completion_id[:-1]}Z"
    harness.sandbox.store.load({completion_id: BEFORE, other: BEFORE | {"team": "green"}})
    job_id = await harness.submit((completion_id, PATCH, EXPECT), (other, PATCH, EXPECT), exact=True)
    await harness.turn(job_id)

    spec = (await harness.ledger.jobs.get(job_id)).spec
    undone = [patch async for patch in undo_rows(harness.ledger, spec)]

    assert [(patch.completion_id, patch.metadata) for patch in undone] == [(completion_id, EXPECT)]
