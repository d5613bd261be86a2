"""Where the parts of a chart are, and what it says in words; the browser's tests show that it can be read."""

from __future__ import annotations

from itertools import pairwise

import pytest

from relabel.pace import Stretch
from web.console.chart import BARS, PLOT_HEIGHT, PLOT_TOP, chart_of, grouped, rate_text

AT = 1_764_000_000.0
"""16:00:00 UTC."""
BASE = PLOT_TOP + PLOT_HEIGHT


def of(*rows, seconds=5, **more):
    """Stretches of so many rows, one after the other."""
    return [Stretch(AT + seconds * number, seconds, each, 2 * each, **more) for number, each in enumerate(rows)]


def test_a_bar_is_as_high_as_its_rows_a_second():
    """In percent across and in pixels from the top; the line over them breaks where nothing came."""
    chart = chart_of([*of(50, 100), Stretch(AT + 10, 5), Stretch(AT + 15, 5, 1, 2)], [])

    assert [tick.label for tick in chart.rows_axis] == ["0", "10", "20"]
    assert [(bar.x, bar.width, bar.y, bar.height) for bar in chart.bars] == [
        (0, 25, BASE - 80, 80),
        (25, 25, PLOT_TOP, PLOT_HEIGHT),
        (75, 25, BASE - 1.6, 1.6),
    ]
    assert [(bar.line_from, bar.is_last) for bar in chart.bars] == [(BASE, False), (BASE - 80, True), (BASE, True)]
    assert chart.bars[1].label == "16:00:05 UTC: 100 rows, 20/s"
    assert chart.summary == "151 rows in 15 s of work: 10.1 rows/s on average, 20 at most. No 429s."


def test_429s_and_pauses_are_where_they_were():
    """A pause that began before the first row, or ends after the last, is cut off."""
    pace = [*of(50), Stretch(AT + 5, 5, 0, 3, throttled=3), Stretch(AT + 10, 10)]

    chart = chart_of(pace, [(AT - 60, AT - 30), (AT + 15, AT + 60)])

    assert [(mark.x, mark.label) for mark in chart.throttled] == [(37.5, "16:00:05 UTC, 5 s: 3 requests answered 429")]
    assert [tuple(band) for band in chart.paused] == [(75, 25)]
    assert chart.summary.endswith("3 requests answered 429.")


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (4, ["16:00:00", "16:00:01", "16:00:02", "16:00:03", "16:00:04"]),
        (60, ["16:00:00", "16:00:15", "16:00:30", "16:00:45", "16:01:00"]),
        (7200, ["16:00", "16:30", "17:00", "17:30", "18:00"]),
        (14 * 3600, ["24 Nov 18:00", "24 Nov 21:00", "25 Nov 00:00", "25 Nov 03:00", "25 Nov 06:00"]),
        (6 * 86_400, ["26 Nov", "28 Nov", "30 Nov"]),
    ],
)
def test_the_time_axis_has_round_times(seconds, labels):
    """Few enough to be read at 400 pixels, where every other one is left out; at the edges they stay inside."""
    axis = chart_of(of(5, seconds=seconds), []).time_axis

    assert [tick.label for tick in axis] == labels
    assert [tick.is_minor for tick in axis] == [number % 2 == 1 for number in range(len(axis))]
    assert all(tick.anchor == "start" for tick in axis if tick.at < 5)
    assert all(tick.anchor == "end" for tick in axis if tick.at > 95)


@pytest.mark.parametrize(
    ("peak", "top"),
    [(0.002, "0.002"), (0.31, "0.4"), (1, "1"), (47, "60"), (60, "60"), (999, "1,000"), (4200, "6,000")],
)
def test_the_rows_axis_ends_at_a_round_number_above_the_highest_bar(peak, top):
    """With three or four steps; the highest bar fills most of it."""
    chart = chart_of([Stretch(AT, 1000, round(1000 * peak), 1)], [])

    assert chart.rows_axis[-1].label == top
    assert 3 <= len(chart.rows_axis) <= 6
    assert PLOT_TOP <= chart.bars[0].y <= BASE - PLOT_HEIGHT / 2


def test_many_stretches_are_joined_and_none_is_lost():
    """At round times, and a long time without rows apart from those beside it."""
    pace = of(*range(400))
    pace += [Stretch(pace[-1].until, 3600), Stretch(pace[-1].until + 3600, 5, 7, 14, 2)]

    drawn = grouped(pace, BARS)

    assert len(drawn) <= BARS + 2
    for part in (1, 2, 3, 4):
        assert sum(stretch[part] for stretch in drawn) == sum(stretch[part] for stretch in pace)
    assert all(one.until == other.at for one, other in pairwise(drawn))
    assert max(drawn, key=lambda stretch: stretch.seconds) == pace[400]
    assert {stretch.at % 60 for stretch in drawn[:30]} == {0}


def test_where_nothing_came_there_is_no_chart():
    """Also where a worker has begun, and waits."""
    assert chart_of([], []) is None
    assert chart_of([Stretch(AT, 60)], []) is None


def test_a_rate_has_as_many_digits_as_tell_something():
    assert [rate_text(rate) for rate in (0, 0.0123, 0.5, 1, 4.25, 99.94, 123.4, 4321)] == [
        "0", "0.012", "0.5", "1", "4.2", "99.9", "123", "4,321",
    ]  # fmt: skip
