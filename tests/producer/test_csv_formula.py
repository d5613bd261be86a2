"""Cells that a spreadsheet would run."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.csv_formula import escape_cell, unescape_cell

SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 - full-width on purpose
TEXT = st.text() | st.text("".join(SIGNS) + "'\";,\t\r\n x", max_size=8)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@sum", "\tx", "\rx", "\nx", "'=1", "＝1", "＋1", "－1", "＠x"])  # noqa: RUF001
def test_a_cell_that_could_run_gets_a_guard(cell):
    """The guard is one more quote in front."""
    assert escape_cell(cell) == "'" + cell


@pytest.mark.parametrize(
    ("cell", "guarded"),
    [
        ("a;=1", "a;'=1"),
        ("a;'=1", "a;''=1"),
        ('a;"=1"', 'a;\'"=1"'),
        ("a\n+1", "a\n'+1"),
        ("a\t@x", "a\t'@x"),
        ("=1;=1", "'=1;'=1"),
    ],
)
def test_what_a_spreadsheet_with_semicolons_would_run_gets_a_guard(cell, guarded):
    """Where the list separator is `;`, as in most of Europe, the middle of a cell may begin another one."""
    assert escape_cell(cell) == guarded


@pytest.mark.parametrize("cell", ["", "red", "a=b", "'quoted'", "1-2", " =1", "a; b", "a; - b", "a\nb", "x;1"])
def test_other_cells_stay_as_they_are(cell):
    """Reports stay readable."""
    assert escape_cell(cell) == cell
    assert unescape_cell(cell) == cell


@given(TEXT)
def test_what_was_escaped_reads_back_the_same(cell):
    """For any text, however many quotes it begins with."""
    assert unescape_cell(escape_cell(cell)) == cell


@given(TEXT)
def test_an_escaped_cell_never_begins_like_a_formula(cell):
    """Which is the point of it."""
    assert not escape_cell(cell).startswith((*SIGNS, "\t", "\r", "\n"))


@given(cells=st.lists(TEXT, min_size=1, max_size=3))
def test_no_cell_begins_like_a_formula_where_lines_are_parted_at_semicolons(cells):
    """A row of a report as a spreadsheet of such a locale takes it apart, quotes honoured or not."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(["chatcmpl-1", *map(escape_cell, cells)])
    line = text.getvalue()

    seen = [cell for row in csv.reader(io.StringIO(line, newline=""), delimiter=";") for cell in row]
    seen += [part.lstrip('"') for part in line.replace("\r", ";").replace("\n", ";").split(";")]

    assert not [cell for cell in seen if cell.startswith(SIGNS)]
