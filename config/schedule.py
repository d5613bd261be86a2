"""When the nightly run is due: a cron line in a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

CRON_FIELDS = 5


class Due(NamedTuple):
    """A moment at which a run is due, seconds since the epoch, and the local date that it belongs to."""

    date: str
    at: float


class Schedule(NamedTuple):
    """A cron line as Debian's cron reads it, in an IANA time zone; all moments are seconds since the epoch.

    On the day the clock is put forward a time that is skipped is made up for at once; on the day it is put back the
    first of two counts.
    """

    cron: str
    time_zone: str

    def after(self, at: float) -> Iterator[Due]:
        """Yield the moments after this one, one a date: of several times on a date the first one counts."""
        date = self.until(at).date
        for moment in self._moments(at):
            due = _due(moment)
            if due.at > at and due.date != date:
                date = due.date
                yield due

    def next_moment(self, at: float) -> float:
        """Return the next moment that the cron line names, whether or not its date had one before."""
        return next(moment.timestamp() for moment in self._moments(at) if moment.timestamp() > at)

    def until(self, at: float) -> Due:
        """Return the last moment that has come."""
        last = next(CronSim(self.cron, self._local(int(at) + 1), reverse=True)).timestamp()
        # within the hour that comes twice, looking back by the clock on the wall misses its first pass
        while (following := next(self._moments(last)).timestamp()) <= at and following > last:
            last = following
        return _due(self._local(last))

    def _moments(self, at: float) -> Iterator[datetime]:
        return CronSim(self.cron, self._local(at))

    def _local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, tz=ZoneInfo(self.time_zone))


def local_date(at: float, time_zone: str) -> str:
    """Return the date of a moment, seconds since the epoch, in a time zone."""
    return datetime.fromtimestamp(at, tz=ZoneInfo(time_zone)).date().isoformat()


def _due(moment: datetime) -> Due:
    return Due(moment.date().isoformat(), moment.timestamp())


def cron_line(value: str) -> str:
    """Return the cron line with single spaces; ValueError says what is wrong with it."""
    line = " ".join(value.split())
    if len(line.split()) != CRON_FIELDS:
        raise ValueError("must be a cron line of five fields (minute hour day month weekday), such as 30 2 * * *")
    try:
        next(CronSim(line, datetime(2024, 1, 1)))  # noqa: DTZ001 - any moment does, to see that there is a next one
    except CronSimError as error:
        raise ValueError(f"is no cron line ({str(error).lower()}); write one such as 30 2 * * *") from None
    except StopIteration:
        raise ValueError("names a moment that never comes; write a cron line such as 30 2 * * *") from None
    return line


def zone_name(value: str) -> str:
    """Return the name of a time zone; ValueError where there is no such."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):  # no such name, no name at all, a folder
        raise ValueError("must be an IANA time zone such as Europe/Berlin or UTC") from None
    return value
