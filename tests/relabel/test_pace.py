"""The life of a job as stretches of time without gaps."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ledger.audit import AuditLine
from ledger.series import Point, Series
from relabel.pace import Stretch, pauses, stretches

AT = 1_764_000_000.0
POINTS = [Point(AT, 40, 80, 0, 600.0), Point(AT + 5, 10, 24, 4, 420.0), Point(AT + 20, 7, 14, 0, 0.0)]


def lives(points=POINTS, *, began_at=0.0, begin=AT - 60, end=AT + 25):
    """The stretches of a series of 5 s, as offsets from `AT`."""
    found = stretches(Series(5, began_at, points), begin=begin, end=end)
    assert all(one.until == pytest.approx(other.at) for one, other in pairwise(found))
    assert [sum(stretch[part] for stretch in found) for part in (2, 3, 4)] == [
        sum(point[part] for point in points) for part in (1, 2, 3)
    ]
    return [(stretch.at - AT, stretch.seconds, stretch.rows) for stretch in found]


def test_a_time_in_which_nothing_came_is_a_stretch_of_its_own():
    """With the rate that was in force before it; the last one goes to the end of the job, or to now."""
    assert lives() == [(0, 5, 40), (5, 5, 10), (10, 10, 0), (20, 5, 7)]
    assert lives(end=AT + 100)[-1] == (25, 75, 0)
    gap = stretches(Series(5, 0.0, POINTS), begin=AT, end=AT + 25)[2]
    assert (gap.rate_per_minute, gap.is_empty) == (420.0, True)
    assert stretches(Series(5, 0.0, POINTS), begin=AT, end=AT + 25)[3].rate_per_minute is None
    assert lives([]) == []


@pytest.mark.parametrize(
    ("began_at", "begin", "first"),
    [(0.0, AT - 60, (0, 5)), (0.0, AT + 2, (2, 3)), (AT + 3, AT + 2, (3, 2)), (AT + 30, AT - 60, (0, 5))],
    ids=["long before", "submitted in it", "a worker began in it", "a clock that was set back"],
)
def test_the_first_stretch_begins_with_the_first_row(began_at, begin, first):
    """Else a job of few seconds would look slow."""
    assert lives(began_at=began_at, begin=begin)[0] == (*first, 40)


def test_the_last_stretch_ends_with_the_job():
    """One that is too short to tell a pace by goes with the one before; beside a gap it stays."""
    assert lives(end=AT + 22)[-1] == (20, 2, 7)
    assert lives(POINTS[:2], end=AT + 5.25) == [(0, 5.25, 50)]
    assert lives(end=AT + 20.25)[-1] == (20, 0.25, 7)
    assert Stretch(AT, 0.25, rows=7).rows_per_s == 7
    assert lives(POINTS[:1], end=AT - 3600) == [(0, 5, 40)]


def test_a_job_was_paused_between_a_pause_and_what_ended_it():
    """What was dropped from the log's beginning is not known; a pause that goes on ends now."""
    verbs = ["resume", "pause", "rate", "resume", "pause", "pause", "cancel", "finished", "pause"]
    log = [AuditLine(float(at), "ada@x", verb, "") for at, verb in enumerate(verbs)]

    assert pauses(log, 20.0) == [(1, 3), (4, 6), (8, 20)]
    assert pauses(log[:-1], 20.0) == [(1, 3), (4, 6)]
    assert pauses([], 20.0) == []
