"""How far a selection is, and the time that is left: told where it can be known."""

from __future__ import annotations

import pytest

from completions.list_place import Cursor
from selection.collect import Found, found_so_far, seconds_left
from selection.options import FilterOptions, SelectOptions
from selection.selection import read_selection
from selection.spool import Mark, open_spool

DAY = 86_400
NOW = 1_795_003_200


@pytest.fixture
def found_at(tmp_path):
    """Return how far a selection is that read from one time of creation to another."""

    def found(options, began, at, **counts):
        selection = read_selection(options, now=NOW)
        with open_spool(tmp_path / "x.partial", "f", now=NOW, keep_s=DAY) as spool:
            spool.add([], Mark(Cursor(selection.filters.query.order, began=began, created=at, read=100), **counts))
            result = found_so_far(selection, spool)
        (tmp_path / "x.partial").unlink()
        return result

    return found


@pytest.mark.parametrize(
    ("filters", "began", "at", "share", "may_be_less"),
    [
        ({"since": "10d"}, NOW, NOW - 5 * DAY, 0.5, False),
        ({"since": "10d"}, NOW - 5 * DAY, NOW - 6 * DAY, 0.2, False),
        ({"expiring": "3d"}, NOW - 30 * DAY, NOW - 29 * DAY, 1 / 3, False),
        ({}, NOW, NOW - 6 * DAY, 0.2, True),
        ({"since": "90d"}, NOW, NOW - 6 * DAY, 0.2, True),
        ({}, NOW, NOW - 31 * DAY, None, True),
        ({}, None, None, None, True),
    ],
)
def test_the_part_that_was_read_is_that_of_the_time_span(found_at, filters, began, at, share, may_be_less):
    """Bounded by the options, else by the 30 days that completions are kept; beyond them, nobody knows."""
    found = found_at(SelectOptions(FilterOptions(**filters)), began, at)

    assert (found.share, found.may_be_less) == (share if share is None else pytest.approx(share), may_be_less)


def test_a_limit_may_end_it_before_that(found_at):
    """What is nearer counts."""
    assert found_at(SelectOptions(limit=100), NOW, NOW - 6 * DAY, matched=80).share == pytest.approx(0.8)


def test_the_time_left_is_estimated_by_the_part_that_this_process_read():
    """Not by that of the one that was interrupted, and not by too little."""
    first, now = Found(0, 0, {}, 50, 100.0, share=0.5), Found(0, 0, {}, 75, 130.0, share=0.75)

    assert seconds_left(first, now) == pytest.approx(30.0)
    assert seconds_left(first, now._replace(share=0.51)) is None
    assert seconds_left(first, now._replace(share=None)) is None
