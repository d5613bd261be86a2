"""What is packed comes out again, and journals can be appended to."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.codec import BeforeImage, Detail, compact_images, pack_detail, pack_images, unpack_detail, unpack_images

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
IMAGES = st.builds(
    BeforeImage,
    st.integers(0, 20),
    st.dictionaries(TEXTS, TEXTS, max_size=3),
    st.none() | st.dictionaries(TEXTS, st.none() | TEXTS, max_size=2),
)


@settings(max_examples=100, deadline=None)
@given(groups=st.lists(st.lists(IMAGES, max_size=5), max_size=6))
def test_the_last_image_of_a_row_counts_in_a_journal_of_many_groups(groups):
    """Groups are appended as they come, and a row may be written again after a crash."""
    journal = b"".join(pack_images(group) for group in groups)

    assert unpack_images(journal) == {image.row: image for group in groups for image in group}


@settings(max_examples=100, deadline=None)
@given(groups=st.lists(st.lists(IMAGES, max_size=5), max_size=6))
def test_compacting_a_journal_changes_nothing_in_it(groups):
    """One group says the same as many, and more can be appended to it."""
    images = unpack_images(b"".join(pack_images(group) for group in groups))

    assert unpack_images(compact_images(images)) == images
    assert unpack_images(compact_images(images) + pack_images([BeforeImage(0, {"new": "1"})]))[0].metadata == {
        "new": "1"
    }


@settings(max_examples=100, deadline=None)
@given(detail=st.builds(Detail, TEXTS, st.integers(0, 599), TEXTS, TEXTS, st.integers(0, 20), st.floats(0, 1e10)))
def test_a_detail_comes_out_as_it_went_in(detail):
    """Messages hold any character."""
    assert unpack_detail(pack_detail(detail)) == detail


def test_a_journal_of_release_one_is_read():
    """Its images are a row and the metadata, and nothing else."""
    journal = bytes.fromhex(
        "0000001978019b3489a17149496a62ee92a49cd2d449cc0d00441a07520000001578019b3889a17149496a62eee2a2d4140028ea05ce"
    )

    assert unpack_images(journal) == {0: BeforeImage(0, {"team": "red"}), 3: BeforeImage(3, {})}
