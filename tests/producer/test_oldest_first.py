"""Rows are taken in the order of their completions' age, where that is asked for."""

from __future__ import annotations

from array import array
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.job_spec import Mode
from ledger.row import Patch
from producer.check_files import check_files
from producer.checked import Checked
from producer.find_files import find_files
from producer.oldest_first import UNKNOWN, creation_key, oldest_first
from tests.harness.rows import dated_id

NOW = 1_764_000_000.0


@settings(max_examples=settings.default.max_examples // 5)  # each makes 65,536 buckets
@given(st.lists(st.integers(0, 3) | st.integers(0, UNKNOWN)))
def test_rows_are_sorted_by_age_and_rows_of_one_age_keep_their_order(keys):
    expected = sorted(range(len(keys)), key=keys.__getitem__)

    assert list(oldest_first(array("I", keys))) == expected


def test_an_id_without_a_time_is_later_than_any_that_has_one():
    newest = "chatcmpl-zzzzz" + "x" * 24

    assert creation_key(dated_id(NOW)) < creation_key(newest) < creation_key("chatcmpl-1") == UNKNOWN


def checked(folder: Path, *ids: str, oldest_first: bool = True) -> Checked:
    """Check a file of these ids, each with its number as a value."""
    rows = "".join(f"{completion_id},{row}\n" for row, completion_id in enumerate(ids))
    (folder / "p.csv").write_text("completion_id,team\n" + rows)
    files = find_files([str(folder / "p.csv")])
    return check_files(files, mode=Mode.MERGE, spool_dir=folder, oldest_first=oldest_first)


def patches(checked: Checked, *, canary: int = 0) -> list[Patch]:
    """All patches, in the order of their shards."""
    shards = checked.shards(2, canary=canary)
    return [patch for shard in shards for patch in msgspec.msgpack.decode(shard.body, type=list[Patch])]


@pytest.fixture
def mixed() -> tuple[str, ...]:
    """Ids in an order of their own: young, unknown, old, unknown, middle, as old as the old one."""
    ages = (1.0, None, 29.0, None, 10.0, 29.0)
    return tuple(
        f"chatcmpl-unknown-{row}" if age is None else dated_id(NOW - age * 86_400, row) for row, age in enumerate(ages)
    )


def test_the_oldest_go_first_and_those_of_unknown_age_last_in_the_order_of_the_file(tmp_path, mixed):
    """Each keeps its line and its value."""
    with checked(tmp_path, *mixed) as found:
        rows = patches(found)

    assert [(patch.line, patch.metadata["team"]) for patch in rows] == [
        (4, "2"),
        (7, "5"),
        (6, "4"),
        (2, "0"),
        (3, "1"),
        (5, "3"),
    ]


def test_a_canary_is_spread_over_the_ages(tmp_path, mixed):
    with checked(tmp_path, *mixed) as found:
        assert [patch.line for patch in patches(found, canary=2)] == [4, 2, 7, 6, 3, 5]


def test_folded_rows_are_taken_over_before_the_order_is_changed(tmp_path, mixed):
    """By the first of them, with the last value; the content counts as the same in either order."""
    with checked(tmp_path, *mixed, mixed[2]) as found, checked(tmp_path, *mixed, mixed[2], oldest_first=False) as plain:
        rows = patches(found)

        assert (found.total, found.folded) == (6, 1)
        assert (rows[0].line, rows[0].metadata["team"]) == (4, "6")
        assert found.fingerprint == plain.fingerprint
        assert [patch.line for patch in patches(plain)] == [2, 3, 4, 5, 6, 7]
