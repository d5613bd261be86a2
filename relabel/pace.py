"""How a job went over its life: rows, requests and 429s in each stretch of time, and the rate that was in force."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from ledger.audit import AuditLine
from ledger.clock import utc_time
from ledger.job import Job
from ledger.series import Point, Series, read_series
from relabel.session import Session

FIELDS = ("time", "seconds", "rows", "requests", "throttled", "rate_per_minute")
"""What is reported of a stretch of time."""
_LEAST_S = 1.0  # workers record once a second, so a shorter end of a life says nothing of its pace


class Stretch(NamedTuple):
    """What came in one stretch of a job's life, of so many `seconds` from `at` (since the epoch, by Redis's clock).

    `rows` ended, cancelled ones left out; of `requests` that were sent, `throttled` were answered 429.
    `rate_per_minute` was in force for the job in the end, in requests a minute, None where that is not known.
    """

    at: float
    seconds: float
    rows: int = 0
    requests: int = 0
    throttled: int = 0
    rate_per_minute: float | None = None

    @property
    def until(self) -> float:
        """When the next one begins."""
        return self.at + self.seconds

    @property
    def is_empty(self) -> bool:
        """Whether nothing came."""
        return not (self.rows or self.requests or self.throttled)

    @property
    def rows_per_s(self) -> float:
        """The rows that ended a second."""
        return self.rows / max(self.seconds, _LEAST_S)

    def joined(self, later: Stretch) -> Stretch:
        """Return this stretch and the one that follows as one."""
        return Stretch(
            self.at,
            later.until - self.at,
            self.rows + later.rows,
            self.requests + later.requests,
            self.throttled + later.throttled,
            later.rate_per_minute,
        )


async def job_pace(session: Session, job: Job) -> list[Stretch] | None:
    """Return the job's life from its first row on, without gaps; None of a job of release one, which kept none.

    It ends with the job, or now.
    """
    series = await read_series(session.ledger.redis, job.spec.job_id)
    if series is None:
        return None
    end = job.finished_at if job.state.ended and job.finished_at else await session.ledger.jobs.now()
    return stretches(series, begin=job.submitted_at, end=end)


def stretches(series: Series, *, begin: float, end: float) -> list[Stretch]:
    """Return a series without gaps: a time without a point is a stretch in which nothing came."""
    found = list[Stretch]()
    for point in series.points:
        if found and found[-1].until < point.at:
            found.append(_nothing(found[-1], point.at))
        began = point.at if found else _first_moment(point.at, series, begin)
        until = point.at + series.seconds
        until = end if began < end < until else until
        found.append(_stretch(point, began, until))
    if found and found[-1].until < end:
        found.append(_nothing(found[-1], end))
    return _without_short_end(found)


def _first_moment(at: float, series: Series, begin: float) -> float:
    """Return when the first point began: with the job's first row, not with the point's round time."""
    return max([at, *(each for each in (begin, series.began_at) if each < at + series.seconds)])


def _stretch(point: Point, began: float, until: float) -> Stretch:
    return Stretch(began, until - began, point.rows, point.requests, point.throttled, point.rate_per_minute or None)


def _nothing(before: Stretch, until: float) -> Stretch:
    return Stretch(before.until, until - before.until, rate_per_minute=before.rate_per_minute)


def _without_short_end(found: list[Stretch]) -> list[Stretch]:
    """Join the last stretch to the one before where it is too short to say how fast rows ended."""
    if len(found) > 1 and found[-1].seconds < _LEAST_S and not found[-2].is_empty:
        return [*found[:-2], found[-2].joined(found[-1])]
    return found


def pauses(log: Iterable[AuditLine], end: float) -> list[tuple[float, float]]:
    """Return from when until when the job was paused, by its log; a pause that goes on ends with `end`."""
    found, since = list[tuple[float, float]](), 0.0
    for line in log:
        if line.verb == "pause":
            since = since or line.at
        elif since and line.verb in {"resume", "cancel", "finished"}:
            found.append((since, line.at))
            since = 0.0
    return [*found, (since, end)] if since and since < end else found


def pace_lines(pace: Iterable[Stretch], layout: str) -> list[bytes]:
    """Return a line for each stretch, as `csv`, with a header, or `jsonl`."""
    if layout == "csv":
        return [_csv(FIELDS), *(_csv(_facts(stretch).values()) for stretch in pace)]
    return [msgspec.json.encode(_facts(stretch)) + b"\n" for stretch in pace]


def _facts(stretch: Stretch) -> dict[str, Any]:
    rest = (stretch.rows, stretch.requests, stretch.throttled, _number(stretch.rate_per_minute))
    return dict(zip(FIELDS, (utc_time(stretch.at), _number(stretch.seconds), *rest), strict=True))


def _number(value: float | None) -> float | None:
    """Return a number as short as it can be written: thousandths count, and a whole one has no point."""
    if value is None:
        return None
    return int(value) if value == int(value) else round(value, 3)


def _csv(cells: Iterable[Any]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().encode()
