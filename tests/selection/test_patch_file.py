"""A selection's file is an input like any other: what is read back is exactly what was meant."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.input_options import NO_OPTIONS
from ledger.job_spec import Mode
from ledger.row import Patch
from producer.check import check, rows_of
from producer.source import open_source
from selection.completion import Completion
from selection.errors import BadSelection, LeftOut
from selection.labels import read_labels
from selection.options import LabelOptions
from selection.patch_file import key_columns, patch_file

NOON = 1_795_003_200
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
KEY = st.one_of(
    st.sampled_from(
        ["team", "id", "completion_id", "metadata", "metadata.x", "relabel.note", "Id", "a,b", "=x", "a b"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8),
)
VALUE = st.one_of(TEXT, st.sampled_from(["=1+1", "'=x", "-5", "a\r\nb", "\ta", "a;=b", '"', "NULL", " x ", "\ufeff"]))


def completion(metadata, number=0, model="gpt-4o"):
    return Completion(f"chatcmpl-{number:029d}", NOON, model, metadata)


def written(layout, labels, completions):
    file = patch_file(layout, labels)
    return b"".join([file.head(), *(file.row(each, labels.patch_of(each)) for each in completions)])


def read_back(tmp_path, layout, content):
    """What `run` reads in a file: its patches by id, and each rejection."""
    path = tmp_path / f"selected.{layout}"
    path.write_bytes(content)
    with open_source(path) as source:
        rows = list(rows_of(source, NO_OPTIONS))
    assert [row for row in rows if not isinstance(row, Patch)] == []
    return {row.completion_id: row.metadata for row in rows}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("selected")


@pytest.mark.parametrize("layout", ["csv", "jsonl"])
@given(
    metadata=st.lists(st.dictionaries(KEY, VALUE, max_size=5), min_size=1, max_size=4),
    keys=st.lists(KEY, min_size=1, max_size=4, unique=True),
)
def test_untouched_values_are_those_that_are_there(folder, layout, metadata, keys):
    """So that each ends as `unchanged`: whatever keys and values are; a key that is absent or empty is left alone."""
    labels = read_labels(LabelOptions(keys=tuple(keys)))
    completions = [completion(each, number) for number, each in enumerate(metadata)]

    found = read_back(folder, layout, written(layout, labels, completions))

    for each in completions:
        patch = found[each.id]
        held = {key: each.metadata[key] for key in keys if key in each.metadata}
        assert patch.items() <= held.items()
        assert {key for key in held if held[key]} <= patch.keys()


@pytest.mark.parametrize("layout", ["csv", "jsonl"])
@given(
    values=st.lists(st.dictionaries(st.sampled_from(["a", "b"]), VALUE, max_size=2), min_size=1, max_size=3),
    key=KEY,
    removed=st.lists(KEY, max_size=2, unique=True),
)
def test_what_is_set_and_removed_is_read_as_that(folder, layout, values, key, removed):
    """Also an empty value, and one that a spreadsheet would run."""
    try:
        labels = read_labels(
            LabelOptions(set=(f"{key}={{metadata.a}}",) if "=" not in key else (), unset=tuple(removed))
        )
    except BadSelection:
        return
    completions = []
    for number, metadata in enumerate(values):
        each = completion(metadata, number)
        try:
            labels.patch_of(each)
        except LeftOut:
            continue
        completions.append(each)
    if not completions or not labels.keys:
        return

    found = read_back(folder, layout, written(layout, labels, completions))

    assert found == {each.id: labels.patch_of(each) for each in completions}


def test_csv_has_a_column_a_key_and_what_was_seen():
    """With the guard against formulas, which the reader takes off as a column `relabel.*` is there."""
    labels = read_labels(LabelOptions(keys=("team", "quality"), set=("dataset=eval",)))

    content = written("csv", labels, [completion({"team": "=x", "score": "1"})])

    header, row = csv.reader(io.StringIO(content.decode(), newline=""))
    assert header == [
        "completion_id",
        "team",
        "quality",
        "dataset",
        "relabel.created",
        "relabel.model",
        "relabel.metadata",
    ]
    assert row[1:6] == ["'=x", "", "eval", "2026-11-18T12:00:00Z", "gpt-4o"]
    assert json.loads(row[6]) == {"team": "=x", "score": "1"}


def test_csv_has_one_column_of_json_where_a_cell_could_not_say_it():
    """A key that is removed, or may be set to an empty text: an empty cell leaves its key alone."""
    for options in (LabelOptions(unset=("old",)), LabelOptions(set=("k=",)), LabelOptions(set=("k={metadata.team}",))):
        content = written("csv", read_labels(options), [completion({"team": ""})])
        header, row = csv.reader(io.StringIO(content.decode(), newline=""))
        assert header[:2] == ["completion_id", "metadata"]
        assert json.loads(row[1]) == read_labels(options).patch_of(completion({"team": ""}))


@pytest.mark.parametrize("layout", ["csv", "jsonl"])
def test_what_was_seen_acts_on_no_terminal(layout):
    """A file is looked at with `less` and `head`; the values to be written are exact all the same."""
    labels = read_labels(LabelOptions(set=("dataset=eval",)))

    content = written(layout, labels, [completion({"team": "a\x9b2J\u202e"}, model="gpt\x1b[2J")]).decode()

    assert not any(each in content for each in "\x1b\x9b\u202e")
    assert "gpt" in content


def test_jsonl_has_what_was_seen_in_one_field():
    """The reader passes over it; a terminal acts on nothing in it."""
    labels = read_labels(LabelOptions(set=("dataset=eval",)))

    content = written("jsonl", labels, [completion({"note": "\x1b[31m\u202e"}, model=None)])

    assert b"\x1b" not in content
    assert "\u202e" not in content.decode()
    assert json.loads(content) == {
        "completion_id": f"chatcmpl-{0:029d}",
        "metadata": {"dataset": "eval"},
        "relabel": {"created": "2026-11-18T12:00:00Z", "model": None, "metadata": {"note": "\x1b[31m\u202e"}},
    }


def test_names_with_a_meaning_are_columns_of_keys():
    """As the reader wants them."""
    assert key_columns(["team", "id", "relabel.x", "metadata"]) == [
        "team",
        "metadata.id",
        "metadata.relabel.x",
        "metadata.metadata",
    ]
    assert key_columns(["a\nb"]) is None
    assert key_columns([]) is None


@pytest.mark.parametrize("layout", ["csv", "jsonl"])
def test_a_selection_without_labels_is_a_list_that_changes_nothing(tmp_path, layout):
    """To be looked at, or edited."""
    labels = read_labels(LabelOptions())
    path = tmp_path / f"ids.{layout}"
    path.write_bytes(written(layout, labels, [completion({"team": "a"}, number) for number in range(3)]))

    with open_source(path) as source, check(source, mode=Mode.MERGE, spool_dir=tmp_path) as checked:
        assert (checked.total, checked.unchanged, checked.rejected) == (0, 3, 0)
