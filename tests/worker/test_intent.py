"""What a patch means, and what was there before it: arithmetic on maps."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.intent import intended
from ledger.job import Mode
from worker.intent import before_image, kept_keys

KEYS = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.sampled_from(["1", "2", "3"])
MAPS = st.dictionaries(KEYS, VALUES)
PATCHES = st.dictionaries(KEYS, st.none() | VALUES, min_size=1)
MODES = st.sampled_from(list(Mode))
EDITS = st.dictionaries(KEYS, st.none() | st.sampled_from(["7", "8"]))
"""What somebody else does meanwhile: values that no patch sends, so that it is plain whose a value is."""


def edited(metadata, edit):
    """The map after somebody else's edit."""
    return intended(metadata, edit, Mode.MERGE)


def served(stored, sent, *, merges):
    """What a service holds after an update: it replaces the map, or merges into it."""
    return stored | sent if merges else dict(sent)


@settings(max_examples=200, deadline=None)
@given(before=MAPS, patch=PATCHES)
def test_a_merge_changes_the_named_keys_only(before, patch):
    """Keys of the patch get its value or go; all others stay as they were."""
    after = intended(before, patch, Mode.MERGE)

    assert {key: after.get(key) for key in patch} == patch
    assert {key: value for key, value in after.items() if key not in patch} == {
        key: value for key, value in before.items() if key not in patch
    }


@settings(max_examples=100, deadline=None)
@given(before=MAPS, patch=PATCHES)
def test_a_replace_leaves_only_the_patch(before, patch):
    """What was there has no say."""
    assert intended(before, patch, Mode.REPLACE) == {key: value for key, value in patch.items() if value is not None}


@settings(max_examples=200, deadline=None)
@given(before=MAPS, patch=PATCHES, mode=MODES)
def test_a_patch_applied_twice_is_applied_once(before, patch, mode):
    """Sending the same again changes nothing, so a redelivered row is harmless; its arguments are left alone."""
    untouched = dict(before)
    once = intended(before, patch, mode)

    assert intended(once, patch, mode) == once
    assert before == untouched


@settings(max_examples=200, deadline=None)
@given(before=MAPS, patch=PATCHES, mode=MODES)
def test_the_first_image_is_what_was_read(before, patch, mode):
    """Without an earlier try there is no doubt."""
    assert before_image(None, before, patch, mode) == before


@settings(max_examples=300, deadline=None)
@given(before=MAPS, patch=PATCHES, mode=MODES, merges=st.booleans(), wrote=st.booleans(), tries=st.integers(1, 3))
def test_after_a_crash_the_image_is_what_was_there_before_our_write(before, patch, mode, merges, wrote, tries):
    """Whether the write happened or not, and however often it is tried again, the image stays the same."""
    stored = served(before, intended(before, patch, mode), merges=merges) if wrote else before
    image = before

    for _ in range(tries):
        image = before_image(image, stored, patch, mode)

    assert image == before


@settings(max_examples=500, deadline=None)
@given(before=MAPS, patch=PATCHES, mode=MODES, merges=st.booleans(), wrote=st.booleans(), early=EDITS, late=EDITS)
def test_what_somebody_else_edited_is_theirs_and_not_undone(before, patch, mode, merges, wrote, early, late):
    """With edits by others around our lost write, each key's image is what it held when we last changed it.

    That is its value before our write for a key we changed, else whatever it holds now.
    """
    stored = edited(before, early)
    if wrote:
        stored = served(stored, intended(before, patch, mode), merges=merges)
    stored = edited(stored, late)

    image = before_image(before, stored, patch, mode)

    sent = intended(before, patch, mode)
    for key in before.keys() | stored.keys() | sent.keys():
        foreign = key in late or (not wrote and key in early)
        if foreign and stored.get(key) != sent.get(key):
            assert image.get(key) == stored.get(key)
        elif not foreign and key not in early:
            assert image.get(key) == before.get(key)


@settings(max_examples=300, deadline=None)
@given(before=MAPS, patch=PATCHES, mode=MODES, edit=EDITS, wrote=st.booleans())
def test_restoring_the_image_key_by_key_takes_back_our_change_alone(before, patch, mode, edit, wrote):
    """After the second try, giving each key we changed its image's value leads to the others' edits on the old map."""
    stored = edited(intended(before, patch, mode) if wrote else before, edit)
    image = before_image(before, stored, patch, mode)
    final = intended(image, patch, mode)

    touched = {key for key in image.keys() | final.keys() if image.get(key) != final.get(key)}
    restored = edited(final, {key: image.get(key) for key in touched})

    assert restored == image
    unclear = {key for key in edit if edit[key] == intended(before, patch, mode).get(key)}
    expected = edited(before, edit)
    assert {k: v for k, v in restored.items() if k not in unclear} == {
        k: v for k, v in expected.items() if k not in unclear
    }


@settings(max_examples=200, deadline=None)
@given(before=MAPS, patch=PATCHES, mode=MODES, merges=st.booleans())
def test_a_kept_key_is_named_only_when_all_else_is_right(before, patch, mode, merges):
    """A service that merges keeps what was to go; a reply that differs in a value is another matter."""
    after = intended(before, patch, mode)
    reply = served(before, after, merges=merges)

    assert kept_keys(after, reply, patch, mode) == (sorted(before.keys() - after.keys()) if merges else [])
    for key in after:
        assert kept_keys(after, reply | {key: "other"}, patch, mode) is None


def test_a_key_that_somebody_else_added_was_not_to_go():
    """In a merge only the keys of the patch are asked to go; in a replace all others are."""
    after, reply = {"a": "1"}, {"a": "1", "theirs": "2", "gone": "3"}

    assert kept_keys(after, reply, {"a": "1", "gone": None}, Mode.MERGE) == ["gone"]
    assert kept_keys(after, reply, {"a": "1"}, Mode.REPLACE) == ["gone", "theirs"]
