"""DataFrames of pandas and polars are inputs, and rows of a job make one; relabel imports neither library."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import pytest

import relabel
from config.input_options import NO_OPTIONS, InputOptions, KeyColumn
from relabel.errors import InvalidInput
from relabel.input_rows import open_rows


@pytest.fixture(scope="session")
def pd() -> ModuleType:
    """Pandas: loaded for the tests that use it, because that takes a second."""
    return importlib.import_module("pandas")


@pytest.fixture(params=["pandas", "polars"])
def frame_of(request: pytest.FixtureRequest) -> Any:
    """Make a frame of either library."""
    return importlib.import_module(request.param).DataFrame


def lines(frame: Any, options: InputOptions = NO_OPTIONS) -> list[bytes]:
    return open_rows(frame, options).read().splitlines()


def test_a_missing_value_leaves_its_key_alone_and_remove_takes_it_away(frame_of):
    """The columns are those of a CSV file: a prefix is none of a key's name, and a report's own columns are no keys."""
    frame = frame_of(
        {
            "completion_id": ["a", "b", "c"],
            "team": ["red", None, relabel.REMOVE],
            "metadata.score": [1.5, float("nan"), None],
            "relabel.outcome": ["failed"] * 3,
        }
    )

    assert lines(frame) == [
        b'{"completion_id":"a","metadata":{"team":"red","score":1.5}}',
        b'{"completion_id":"b","metadata":{}}',
        b'{"completion_id":"c","metadata":{"team":null}}',
    ]


def test_columns_are_chosen_and_renamed(frame_of):
    """As `--id-column` and `--columns` do."""
    frame = frame_of({"ref": ["a"], "Team": ["red"], "note": ["x"]})
    options = InputOptions(id_column="ref", columns=(KeyColumn("team", "Team"),))

    assert lines(frame, options) == [b'{"completion_id":"a","metadata":{"team":"red"}}']


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        ({"team": ["red"]}, NO_OPTIONS, "no column completion_id or id"),
        ({"id": ["a"], "completion_id": ["a"], "k": ["v"]}, NO_OPTIONS, "keep one of them"),
        ({"id": ["a"], "k": ["v"], "metadata.k": ["v"]}, NO_OPTIONS, "in two columns"),
        ({"id": ["a"], "k": ["v"]}, InputOptions(columns=(KeyColumn("team", "team"),)), "no column 'team'"),
        ({"id": ["a"], "k": ["v"]}, InputOptions(id_column="ref"), "no column ref"),
    ],
)
def test_a_frame_that_cannot_be_read_is_refused_with_what_to_do(frame_of, columns, options, said):
    """Before a row is read."""
    with pytest.raises(InvalidInput, match=said):
        open_rows(frame_of(columns), options)


def test_every_missing_value_of_pandas_is_one_and_the_index_is_no_key(pd):
    """NaT and NA, too; numbers stay numbers, so that they are rejected where nobody asked for texts."""
    frame = pd.DataFrame(
        {
            "id": ["a", "b"],
            "when": [pd.NaT, pd.NaT],
            "count": pd.array([None, 7], dtype="Int64"),
            "text": pd.array([pd.NA, "x"], dtype="string"),
        },
        index=["first", "second"],
    )

    assert lines(frame) == [
        b'{"completion_id":"a","metadata":{}}',
        b'{"completion_id":"b","metadata":{"count":7,"text":"x"}}',
    ]


def test_other_values_are_text_where_that_is_asked_for(pd):
    """A date is none by itself."""
    frame = pd.DataFrame({"id": ["a"], "when": [pd.Timestamp("2026-11-27")]})

    with pytest.raises(InvalidInput, match="row 1: the value of 'when' is a Timestamp"):
        lines(frame)
    assert lines(frame, InputOptions(stringify=True)) == [
        b'{"completion_id":"a","metadata":{"when":"2026-11-27 00:00:00"}}'
    ]
