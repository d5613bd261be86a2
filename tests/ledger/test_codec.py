"""What is packed comes out again, and journals can be appended to."""

from __future__ import annotations

import tracemalloc
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import (
    BeforeImage,
    Detail,
    compact_images,
    pack_detail,
    pack_images,
    pack_rejections,
    pack_shard,
    unpack_detail,
    unpack_images,
    unpack_rejections,
    unpack_shard,
)
from ledger.errors import StateLost
from ledger.row import MAX_KEYS, MAX_PAIRS, Patch, Rejection

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
REQUEST_IDS = st.text("req_0123456789abcdef", max_size=12)
IMAGES = st.builds(
    BeforeImage,
    st.integers(0, 20),
    st.dictionaries(TEXTS, TEXTS, max_size=3),
    st.none() | st.dictionaries(TEXTS, st.none() | TEXTS, max_size=2),
)


@given(groups=st.lists(st.lists(IMAGES, max_size=5), max_size=6))
def test_the_last_image_of_a_row_counts_in_a_journal_of_many_groups(groups):
    """Groups are appended as they come, and a row may be written again after a crash."""
    journal = b"".join(pack_images(group) for group in groups)

    assert unpack_images(journal, 500) == {image.row: image for group in groups for image in group}


@given(groups=st.lists(st.lists(IMAGES, max_size=5), max_size=6))
def test_compacting_a_journal_changes_nothing_in_it(groups):
    """One group says the same as many, and more can be appended to it."""
    images = unpack_images(b"".join(pack_images(group) for group in groups), 500)

    assert unpack_images(compact_images(images), 500) == images
    assert unpack_images(compact_images(images) + pack_images([BeforeImage(0, {"new": "1"})]), 500)[0].metadata == {
        "new": "1"
    }


@given(detail=st.builds(Detail, TEXTS, st.integers(0, 599), TEXTS, REQUEST_IDS, st.integers(0, 20), st.floats(0, 1e10)))
def test_a_detail_comes_out_as_it_went_in(detail):
    """Its numbers exactly; its texts as they may be shown, whatever release one or a server put there."""
    found = unpack_detail(pack_detail(detail))

    assert (found.status, found.attempts, found.at) == (detail.status, detail.attempts, detail.at)
    assert (found.code + found.message + found.request_id).isprintable()
    assert unpack_detail(pack_detail(found)) == found


def test_a_journal_of_release_one_is_read():
    """Its images are a row and the metadata, and nothing else."""
    journal = bytes.fromhex(
        "0000001978019b3489a17149496a62ee92a49cd2d449cc0d00441a07520000001578019b3889a17149496a62eee2a2d4140028ea05ce"
    )

    assert unpack_images(journal, 500) == {0: BeforeImage(0, {"team": "red"}), 3: BeforeImage(3, {})}


def bomb(first: bytes, mebibytes: int = 256) -> bytes:
    """Some bytes that become so many; the whole is never in memory."""
    packer = zlib.compressobj(level=1)
    packed = packer.compress(first)
    for _ in range(mebibytes):
        packed += packer.compress(b"\x90" * (1 << 20))
    return packed + packer.flush()


MANY_ROWS = b"\xdd\x0f\x00\x00\x00"
"""The head of an array of a quarter of a billion items."""


@pytest.mark.parametrize(
    "pack",
    [
        lambda: bomb(b"\xdd\x00\x00\x00\x02"),
        lambda: bomb(MANY_ROWS),
        lambda: bomb(MANY_ROWS, mebibytes=8),
        lambda: zlib.compress(b"\xdc\xff\xff" + b"\x90" * 65535),
        lambda: pack_shard(b"\xdd\x00\x00\x00\x02" + msgspec.msgpack.encode(Patch(1, "x", {})))[:-3],
        lambda: b"",
        lambda: b"no compressed data",
        lambda: zlib.compress(b""),
    ],
    ids=[
        "large",
        "large, many rows",
        "many rows",
        "65,535 rows",
        "cut short",
        "empty",
        "damaged",
        "nothing",
    ],
)
def test_what_relabel_did_not_store_is_lost_state_and_takes_little_memory(pack):
    """Whoever may write to Redis must not be able to fill a worker's memory with a few bytes."""
    packed = pack()
    tracemalloc.start()
    try:
        for unpack in (unpack_shard, unpack_rejections):
            with pytest.raises(StateLost):
                unpack(packed, 2)
        with pytest.raises(StateLost):
            unpack_images(len(packed).to_bytes(4, "big") + packed, 2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 96 << 20


def test_a_journal_of_many_groups_is_bounded_as_a_whole():
    """Else each of them could be as large as all rows together."""
    image = pack_images([BeforeImage(0, {"k": "x" * (1 << 20)})])

    assert len(unpack_images(image * 30, 1)) == 1
    with pytest.raises(StateLost):
        unpack_images(image * 40, 1)


def test_the_largest_rows_that_a_file_may_hold_are_read_again():
    """All rows of a shard at their limits at once, in characters of four bytes."""
    values = dict.fromkeys((f"{n}" + "\N{FIRE}" * 61 for n in range(MAX_PAIRS)), "\N{FIRE}" * 512)
    removals = dict.fromkeys(f"{n:03}" + "\N{FIRE}" * 61 for n in range(MAX_KEYS - MAX_PAIRS))
    patches = [Patch(row, "\N{FIRE}" * 255, values | removals) for row in range(500)]

    assert unpack_shard(pack_shard(msgspec.msgpack.encode(patches)), 500) == patches


def test_the_longest_rejected_lines_are_read_again():
    """A line may have a megabyte, and most of it may be escaped."""
    rejections = [Rejection(row, None, "too long", ["x" * (1 << 20)]) for row in range(20)]

    assert unpack_rejections(pack_rejections(rejections), 20) == rejections
