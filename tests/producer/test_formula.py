"""Cells that a spreadsheet would run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.formula import escape_cell, unescape_cell


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@sum", "\tx", "\rx", "'=1"])
def test_a_cell_that_could_run_gets_a_guard(cell):
    """The guard is one more quote in front."""
    assert escape_cell(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["", "red", "a=b", "'quoted'", "1-2", " =1"])
def test_other_cells_stay_as_they_are(cell):
    """Reports stay readable."""
    assert escape_cell(cell) == cell
    assert unescape_cell(cell) == cell


@given(st.text() | st.text("'=+-@\t\rx", max_size=6))
def test_what_was_escaped_reads_back_the_same(cell):
    """For any text, however many quotes it begins with."""
    assert unescape_cell(escape_cell(cell)) == cell


@given(st.text() | st.text("'=+-@\t\rx", max_size=6))
def test_an_escaped_cell_never_begins_like_a_formula(cell):
    """Which is the point of it."""
    assert not escape_cell(cell).startswith(("=", "+", "-", "@", "\t", "\r"))
