"""What a patch means, and what was there before it: arithmetic on maps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger.job_spec import Mode
from ledger.patching import apply_patch
from worker.reconcile import before_image

KEY_NAMES = ["a", "b", "c", "d"]
KEYS = st.sampled_from(KEY_NAMES)
VALUES = st.sampled_from(["1", "2", "3"])
MAPS = st.dictionaries(KEYS, VALUES)
PATCHES = st.dictionaries(KEYS, st.none() | VALUES, min_size=1)
MODES = st.sampled_from(list(Mode))
EDITS = st.dictionaries(KEYS, st.none() | st.sampled_from(["7", "8"]))
"""What somebody else does meanwhile: values that no patch sends, so that it is plain whose a value is."""


def edited(metadata, edit):
    """The map after somebody else's edit."""
    return apply_patch(metadata, edit, Mode.MERGE)


def served(stored, sent, *, merges):
    """What a service holds after an update: it replaces the map, or merges into it."""
    return stored | sent if merges else dict(sent)


@given(before=MAPS, patch=PATCHES)
def test_a_merge_changes_the_named_keys_only(before, patch):
    """Keys of the patch get its value or go; all others stay as they were."""
    after = apply_patch(before, patch, Mode.MERGE)

    assert {key: after.get(key) for key in patch} == patch
    assert {key: value for key, value in after.items() if key not in patch} == {
        key: value for key, value in before.items() if key not in patch
    }


@given(before=MAPS, patch=PATCHES)
def test_a_replace_leaves_only_the_patch(before, patch):
    """What was there has no say."""
    assert apply_patch(before, patch, Mode.REPLACE) == {key: value for key, value in patch.items() if value is not None}


@given(before=MAPS, patch=PATCHES, mode=MODES)
def test_a_patch_applied_twice_is_applied_once(before, patch, mode):
    """Sending the same again changes nothing, so a redelivered row is harmless; its arguments are left alone."""
    untouched = dict(before)
    once = apply_patch(before, patch, mode)

    assert apply_patch(once, patch, mode) == once
    assert before == untouched


@given(before=MAPS, patch=PATCHES, mode=MODES)
def test_the_first_image_is_what_was_read(before, patch, mode):
    """Without an earlier try there is no doubt."""
    assert before_image(None, before, patch, mode) == before


@given(before=MAPS, patch=PATCHES, mode=MODES, merges=st.booleans(), wrote=st.booleans(), tries=st.integers(1, 3))
def test_after_a_crash_the_image_is_what_was_there_before_our_write(before, patch, mode, merges, wrote, tries):
    """Whether the write happened or not, and however often it is tried again, the image stays the same."""
    stored = served(before, apply_patch(before, patch, mode), merges=merges) if wrote else before
    image = before

    for _ in range(tries):
        image = before_image(image, stored, patch, mode)

    assert image == before


@given(before=MAPS, patch=PATCHES, mode=MODES, merges=st.booleans(), wrote=st.booleans(), early=EDITS, late=EDITS)
def test_a_key_that_a_write_in_doubt_changed_keeps_its_first_image(before, patch, mode, merges, wrote, early, late):
    """Whatever it holds now: the service may have made that of what was sent. Of others, the value of now counts."""
    stored = edited(before, early)
    if wrote:
        stored = served(stored, apply_patch(before, patch, mode), merges=merges)
    stored = edited(stored, late)

    image = before_image(before, stored, patch, mode)

    sent = apply_patch(before, patch, mode)
    for key in before.keys() | stored.keys() | sent.keys():
        first = before.get(key) != sent.get(key)
        assert image.get(key) == (before.get(key) if first else stored.get(key))


@given(before=MAPS, patch=PATCHES, mode=MODES, edit=EDITS, wrote=st.booleans())
def test_restoring_the_image_key_by_key_takes_back_our_change_alone(before, patch, mode, edit, wrote):
    """After the second try, each key we changed gets its first value back, and the others' keys stay theirs."""
    stored = edited(apply_patch(before, patch, mode) if wrote else before, edit)
    image = before_image(before, stored, patch, mode)
    final = apply_patch(image, patch, mode)

    touched = {key for key in image.keys() | final.keys() if image.get(key) != final.get(key)}
    restored = edited(final, {key: image.get(key) for key in touched})

    assert restored == image
    ours = {key for key in KEY_NAMES if before.get(key) != apply_patch(before, patch, mode).get(key)}
    expected = edited(before, {key: value for key, value in edit.items() if key not in ours})
    assert restored == expected
