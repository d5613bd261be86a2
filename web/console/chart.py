"""Lays out a job's pace as a chart: bars of rows a second, marks where the API answered 429, bands of pauses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from relabel.pace import Stretch
from relabel.wording import count_of, duration

BARS, MARKS, LINES, TICKS = 120, 30, 24, 5
"""The most bars, marks, lines of the table, and ticks of the time axis that are drawn."""
PLOT_TOP, PLOT_HEIGHT = 22.0, 160.0
"""Where the bars are, in pixels from the top; what lies across is in percent of the width."""
LEAST_BAR = 1.5
"""Pixels that a bar is high at least, where any row ended."""
_NICE_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
_DAY_S = 86_400
_EDGE = 8.0  # percent within which a label would leave the chart


class Bar(NamedTuple):
    """The rows a second of a stretch: where it is across, how high, and what it stands for.

    The line over the bars goes up or down to it from `line_from`, and behind it down to the axis where it `is_last`.
    """

    x: float
    width: float
    y: float
    height: float
    label: str
    line_from: float = 0.0
    is_last: bool = False

    @property
    def end(self) -> float:
        """Where it ends across."""
        return round(self.x + self.width, 3)


class Tick(NamedTuple):
    """A place on an axis; `anchor` is where its label is in relation to it, `is_minor` whether it may be left out."""

    at: float
    label: str
    anchor: str = "middle"
    is_minor: bool = False


class Mark(NamedTuple):
    """A place at which something happened, and what."""

    x: float
    label: str


class Band(NamedTuple):
    """A time of a pause."""

    x: float
    width: float


class Chart(NamedTuple):
    """A chart, the sentence that says the same in short, and the table that has it in numbers."""

    bars: list[Bar]
    rows_axis: list[Tick]
    time_axis: list[Tick]
    throttled: list[Mark]
    paused: list[Band]
    summary: str
    table: list[Stretch]


class _Across(NamedTuple):
    """The time axis: from its first to its last moment."""

    begin: float
    end: float

    def place(self, at: float) -> float:
        """Return where a moment is, in percent."""
        return round(min(100.0, max(0.0, (at - self.begin) / (self.end - self.begin) * 100)), 3)

    def width(self, begin: float, end: float) -> float:
        """Return how wide a time is, in percent."""
        return round(self.place(end) - self.place(begin), 3)


def chart_of(pace: Sequence[Stretch], pauses: Iterable[tuple[float, float]]) -> Chart | None:
    """Return the chart of a job's life with its pauses; None where nothing of it is there to be drawn."""
    if not pace or all(stretch.is_empty for stretch in pace):
        return None
    across = _Across(pace[0].at, max(pace[-1].until, pace[0].at + 1))
    drawn = grouped(pace, BARS)
    peak = max(stretch.rows_per_s for stretch in drawn)
    step = _nice_step(peak)
    top = max(step, math.ceil(round(peak / step, 6)) * step)
    return Chart(
        bars=_with_line([_bar(stretch, across, top) for stretch in drawn if stretch.rows]),
        rows_axis=_rows_axis(top, step),
        time_axis=_time_axis(across),
        throttled=[_mark(stretch, across) for stretch in grouped(pace, MARKS) if stretch.throttled],
        paused=[
            Band(across.place(begin), across.width(begin, end)) for begin, end in pauses if across.width(begin, end) > 0
        ],
        summary=_summary(pace, peak),
        table=grouped(pace, LINES),
    )


def grouped(pace: Sequence[Stretch], most: int) -> list[Stretch]:
    """Return the stretches joined to about `most`, at round times where they allow it; none is lost.

    A longer time in which nothing came stays a stretch of its own, so that what is beside it does not look slow.
    """
    if len(pace) <= most:
        return list(pace)
    step = _nice_time((pace[-1].until - pace[0].at) / most)
    found, opened = list[Stretch](), False
    for stretch in pace:
        is_gap = stretch.is_empty and stretch.seconds >= step
        same = opened and not is_gap and found[-1].at // step == stretch.at // step
        if same:
            found[-1] = found[-1].joined(stretch)
        else:
            found.append(stretch)
        opened = not is_gap
    return found


def rate_text(rows_per_s: float) -> str:
    """Return a number of rows a second as people read it."""
    if rows_per_s >= 100:
        return f"{rows_per_s:,.0f}"
    return f"{rows_per_s:.1f}".removesuffix(".0") if rows_per_s >= 1 else f"{rows_per_s:.2g}"


def _bar(stretch: Stretch, across: _Across, top: float) -> Bar:
    height = round(max(LEAST_BAR, stretch.rows_per_s / top * PLOT_HEIGHT), 2)
    label = f"{_clock(stretch.at)} UTC: {count_of(stretch.rows, 'row')}, {rate_text(stretch.rows_per_s)}/s"
    y = round(PLOT_TOP + PLOT_HEIGHT - height, 2)
    return Bar(across.place(stretch.at), across.width(stretch.at, stretch.until), y, height, label)


def _with_line(bars: list[Bar]) -> list[Bar]:
    """Return bars with the line over them, which is whole where they touch each other."""
    found = list[Bar]()
    for bar in bars:
        touches = bool(found) and math.isclose(found[-1].end, bar.x, abs_tol=0.01)
        if touches:
            found[-1] = found[-1]._replace(is_last=False)
        line_from = found[-1].y if touches else PLOT_TOP + PLOT_HEIGHT
        found.append(bar._replace(line_from=line_from, is_last=True))
    return found


def _mark(stretch: Stretch, across: _Across) -> Mark:
    label = (
        f"{_clock(stretch.at)} UTC, {duration(stretch.seconds)}: {count_of(stretch.throttled, 'request')} answered 429"
    )
    return Mark(across.place(stretch.at + stretch.seconds / 2), label)


def _rows_axis(top: float, step: float) -> list[Tick]:
    steps = round(top / step)
    return [
        Tick(round(PLOT_TOP + PLOT_HEIGHT * (1 - each / steps), 2), f"{round(each * step, 9):,g}")
        for each in range(steps + 1)
    ]


def _time_axis(across: _Across) -> list[Tick]:
    span = across.end - across.begin
    step = _nice_time(span / TICKS)
    pattern = "%H:%M:%S" if step < 60 else "%H:%M"
    if across.begin // _DAY_S != across.end // _DAY_S:
        pattern = "%d %b" if step >= _DAY_S else "%d %b %H:%M"
    first = math.ceil(across.begin / step)
    moments = [number * step for number in range(first, math.floor(across.end / step) + 1)]
    return [
        Tick(place, _utc(at).strftime(pattern), _anchor(place), is_minor=number % 2 == 1)
        for number, at in enumerate(moments)
        for place in (across.place(at),)
    ]


def _anchor(place: float) -> str:
    return "start" if place < _EDGE else "end" if place > 100 - _EDGE else "middle"


def _summary(pace: Sequence[Stretch], peak: float) -> str:
    """Return the chart in a sentence; time in which nothing was sent says nothing of how fast the job is."""
    rows, throttled = sum(stretch.rows for stretch in pace), sum(stretch.throttled for stretch in pace)
    busy = sum(stretch.seconds for stretch in pace if not stretch.is_empty)
    mean = rows / max(busy, 1.0)
    spent = duration(busy) if busy >= 1 else "less than 1 s"
    said = f"{count_of(rows, 'row')} in {spent} of work: {rate_text(mean)} rows/s on average"
    said += f", {rate_text(peak)} at most" if rate_text(peak) != rate_text(mean) else ""
    return f"{said}. {count_of(throttled, 'request')} answered 429." if throttled else f"{said}. No 429s."


def _nice_step(peak: float) -> float:
    """Return the distance of the lines of an axis that goes to `peak`: three of them or four."""
    rough = peak / 3 if peak > 0 else 1 / 3
    unit = 10.0 ** math.floor(math.log10(rough))
    return next(each * unit for each in (1, 2, 5, 10) if each * unit >= rough * 0.999)


def _nice_time(least: float) -> float:
    """Return a round number of seconds that is no less."""
    days = math.ceil(least / _DAY_S) * _DAY_S
    return next((each for each in _NICE_S if each >= least), days)


def _clock(at: float) -> str:
    return _utc(at).strftime("%H:%M:%S")


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, tz=UTC)
