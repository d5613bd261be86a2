"""What is known of the last writes to a completion: which state a read shows."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ledger.records import MOST_STEPS, digest, next_record, pack_record, unpack_record

MAPS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"))


@given(states=st.lists(MAPS, min_size=2, max_size=9))
def test_a_state_from_before_a_remembered_write_is_known_and_the_last_one_is_not(states):
    """The newest writes are remembered; a state that is the last one, too, is the last one."""
    record = None
    for row, (before, after) in enumerate(itertools.pairwise(states)):
        record = next_record(record, "job", row, before, after)

    assert unpack_record(pack_record(record)) == record
    assert record.step_shown(states[-1]) is None
    for metadata in states[:-1][-MOST_STEPS:]:
        assert (record.step_shown(metadata) is None) == (metadata == states[-1])
    assert record.step_shown({"third": "state"}) is None
    assert len(record.steps) <= MOST_STEPS


def test_an_edit_by_somebody_else_ends_what_was_remembered():
    """What led to another state than the one that was found explains nothing any more."""
    first = next_record(None, "a", 0, {}, {"k": "1"})
    second = next_record(first, "b", 0, {"k": "theirs"}, {"k": "2"})

    assert [step.job_id for step in second.steps] == ["b"]


def test_a_write_that_read_nothing_is_remembered_behind_another_only():
    """Nobody knows what it wrote over but the record before it."""
    first = next_record(None, "a", 0, {}, {"k": "1"})

    assert next_record(None, "b", 0, None, {"x": "1"}) is None
    second = next_record(first, "b", 0, None, {"x": "1"})
    assert [step.job_id for step in second.steps] == ["a", "b"]
    assert second.after == digest({"x": "1"})


def test_a_record_is_small():
    """It takes the place of a claim, for as long as a minute, once for each completion written."""
    record = next_record(None, "20261127-172335-90e7a1b2", 1_000_000, {"a": "x" * 500}, {"a": "y" * 500})

    assert len(pack_record(record)) < 60
