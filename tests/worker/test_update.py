"""What an answer says of an update: arithmetic on maps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.job_spec import Mode
from ledger.patching import apply_patch
from worker.update import Shown, Update

MAPS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("123"))
PATCHES = st.dictionaries(st.sampled_from("abcd"), st.none() | st.sampled_from("123"), min_size=1)
MODES = st.sampled_from(list(Mode))


def made(before, patch, mode=Mode.MERGE):
    """The update that a patch becomes."""
    return Update(before, apply_patch(before, patch, mode), patch, mode)


@given(before=MAPS, patch=PATCHES, mode=MODES)
def test_a_service_that_merges_keeps_keys_and_one_that_replaces_does_not(before, patch, mode):
    """A kept key is named only when all else is right; a reply that differs in a value is another matter."""
    update = made(before, patch, mode)
    gone = sorted(before.keys() - update.after.keys())

    assert update.shown(update.after) is Shown.AS_SENT
    merged = before | update.after
    assert update.shown(merged) is (Shown.KEPT if gone else Shown.AS_SENT)
    assert update.kept(merged) == gone
    for key in update.after:
        assert update.shown(merged | {key: "other"}) is Shown.OTHER
        assert update.altered(merged | {key: "other"}) == {key: "other"}


@given(before=MAPS, patch=PATCHES, mode=MODES)
def test_what_was_there_before_is_told_from_a_third_state(before, patch, mode):
    """Unless nothing but removals was asked for, which the state before shows as keys that were kept."""
    update = made(before, patch, mode)
    changed = any(before.get(key) != value for key, value in update.after.items())

    assert (update.shown(before) is Shown.BEFORE) == changed


@pytest.mark.parametrize(
    ("shown", "altered"),
    [
        ({"a": "x", "empty": "", "gone": "g"}, {"a": "x"}),
        ({"a": " x "}, {"empty": None}),
        ({"a": " x ", "empty": "", "gone": ""}, {"gone": ""}),
        ({}, {"a": None, "empty": None}),
    ],
)
def test_every_key_is_compared(shown, altered):
    """Changed ones, carried ones, and those that were to go and now hold something else."""
    update = made({"a": "1", "empty": "", "gone": "g"}, {"a": " x ", "gone": None})

    assert update.altered(shown) == altered
    assert update.shown(shown) is Shown.OTHER


def test_a_description_shows_lengths_and_never_a_value():
    """Five keys are described, the others counted."""
    update = made({"gone": "secret"}, {"gone": None, **{f"k{n}": " secret " for n in range(7)}})
    altered = update.altered({"gone": "", **{f"k{n}": "secret" for n in range(6)}})

    said = update.described(altered)

    assert "secret" not in said
    assert said.startswith("gone (was to be removed, holds 0), k0 (sent 8 characters, holds 6)")
    assert said.endswith("and 3 more")


def test_a_key_that_somebody_else_added_was_not_to_go():
    """In a merge only the keys of the patch are asked to go; in a replace all others are."""
    shown = {"a": "1", "theirs": "2", "gone": "3"}

    assert made({"gone": "3"}, {"a": "1", "gone": None}).kept(shown) == ["gone"]
    assert made({"gone": "3"}, {"a": "1"}, Mode.REPLACE).kept(shown) == ["gone", "theirs"]
