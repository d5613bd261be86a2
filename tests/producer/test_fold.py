"""Rows that name the same completion."""

from __future__ import annotations

from array import array
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.job_spec import Mode
from ledger.row import Patch
from producer.checked import Checked
from producer.staging import Spool, fold

decode_one = msgspec.msgpack.Decoder(Patch).decode
decode_many = msgspec.msgpack.Decoder(list[Patch]).decode


def patches_of(checked: Checked, rows: int = 1000) -> list[Patch]:
    return [patch for shard in checked.shards(rows) for patch in decode_many(shard.body)]


CONTENT = """\
{"id": "abc", "metadata": {"a": "1", "b": "1", "c": "1"}}
{"id": "def", "metadata": {"a": "other"}}
{"id": " abc ", "metadata": {"b": "2", "c": null, "d": "2"}}
{"id": "abc", "metadata": {"d": "3"}}
"""


def test_merging_unites_the_keys_and_later_rows_win(checked):
    """Also when the later row removes the key; place and line are those of the first row."""
    result = checked("p.jsonl", CONTENT, mode=Mode.MERGE)

    assert patches_of(result) == [
        Patch(1, "abc", {"a": "1", "b": "2", "c": None, "d": "3"}),
        Patch(2, "def", {"a": "other"}),
    ]
    assert (result.total, result.folded, result.rejected) == (2, 2, 0)
    assert [(row.line, row.patch.metadata, row.folded_into) for row in result.unsent()] == [
        (3, {"b": "2", "c": None, "d": "2"}, 1),
        (4, {"d": "3"}, 1),
    ]


def test_replacing_takes_the_last_row_whole(checked):
    """In that mode a row is the whole map, so nothing of the earlier rows is left."""
    result = checked("p.jsonl", CONTENT, mode=Mode.REPLACE)

    assert patches_of(result) == [Patch(1, "abc", {"d": "3"}), Patch(2, "def", {"a": "other"})]
    assert (result.total, result.folded) == (2, 2)


def test_a_row_that_would_bring_its_completion_over_sixteen_pairs_is_rejected(checked):
    """The rows before it stay, the rows after it are folded, and the reason names the first line."""
    keys = [f"k{n}" for n in range(17)]
    header = ",".join(["id", *keys])
    content = f"{header}\nabc{',x' * 16},\nabc{',' * 16},y\nabc,new{',' * 16}\n,x{',' * 16}\n"

    result = checked("p.csv", content)

    assert patches_of(result) == [Patch(2, "abc", dict.fromkeys(keys[:16], "x") | {"k0": "new"})]
    assert (result.total, result.folded, result.rejected) == (1, 1, 2)
    late, bad = result.rejections()
    assert (late.line, late.reason) == (3, "with line 2 it sets 17 pairs; the API allows 16")
    assert late.cells == ["abc", *[""] * 16, "y"]
    assert bad.line == 5


@pytest.mark.parametrize(
    ("name", "content", "cells"),
    [
        (
            "p.jsonl",
            '{{"completion_id": "ü", "metadata": {0}}}\n',
            ['{"completion_id": "ü", "metadata": {"k16": "x"}}'],
        ),
        ("p.csv", "ü,'{0}'\n", ["ü", '{"k16": "x"}']),
    ],
)
def test_a_row_rejected_by_folding_keeps_its_cells_in_the_inputs_layout(checked, name, content, cells):
    """So that the report can show it like the rows that were rejected at once."""
    first = "{" + ", ".join(f'"k{n}": "x"' for n in range(16)) + "}"
    rows = [content.format(metadata) for metadata in (first, '{"k16": "x"}')]
    if name == "p.csv":
        rows = ["completion_id,metadata\n", *(row.replace('"', '""').replace("'", '"') for row in rows)]

    [late] = checked(name, "".join(rows)).rejections()

    assert late.cells == cells


rows = st.lists(
    st.tuples(
        st.sampled_from(["abc", "def", "ghi"]),
        st.dictionaries(
            st.sampled_from([f"k{n}" for n in range(20)]),
            st.none() | st.sampled_from(["x", "y"]),
            min_size=1,
            max_size=9,
        ),
    ),
    max_size=25,
)


@given(rows=rows, mode=st.sampled_from(Mode), spread=st.sampled_from([1, 2, 1000]))
def test_folding_equals_a_plain_dictionary(tmp_path_factory, rows, mode, spread):
    """Also where all ids share one hash: the id decides, the hash only finds candidates."""
    expected: dict[str, Patch] = {}
    refused = []
    for line, (name, metadata) in enumerate(rows, start=1):
        first = expected.get(name, Patch(line, name, {}))
        union = metadata if mode is Mode.REPLACE else {**first.metadata, **metadata}
        if len([value for value in union.values() if value is not None]) > 16:
            refused.append(line)
        else:
            expected[name] = Patch(first.line, name, union)

    hashes = array("q", (sum(name.encode()) % spread for name, _ in rows))
    with Spool(tmp_path_factory.getbasetemp()) as spool:
        for line, (name, metadata) in enumerate(rows, start=1):
            spool.append(msgspec.msgpack.encode(Patch(line, name, metadata)))
        left = list(fold(spool, hashes, mode))
        found = [decode_one(body) for _, body in spool.groups(1)]

    assert found == list(expected.values())
    assert sorted(row.later.line for row in left if row.fault) == refused
    assert all(row.first.line == expected[row.later.completion_id].line < row.later.line for row in left)
    assert len(rows) == len(expected) + len(left)


@pytest.mark.whole
def test_folding_works_across_many_buckets(tmp_path: Path):
    """Beyond 65,536 rows the ids are dealt out to several buckets; each pair still meets."""
    number = 70_000
    with Spool(tmp_path) as spool:
        for row in range(number * 2):
            spool.append(msgspec.msgpack.encode(Patch(row, f"id-{row % number}", {"k": str(row)})))
        hashes = array("q", (hash(f"id-{row % number}") for row in range(number * 2)))
        folded = sum(1 for _ in fold(spool, hashes, Mode.MERGE))
        [(kept, body)] = spool.groups(number * 2)

    assert (folded, kept) == (number, number)
    first = decode_one(body[: len(msgspec.msgpack.encode(Patch(0, "id-0", {"k": str(number)})))])
    assert first == Patch(0, "id-0", {"k": str(number)})
