"""How fast a job goes and what its workers wait for, as they recorded it."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

RECORD_KEPT_S = 5.0
"""Age at which what a worker recorded of its shard counts no more."""
STANDSTILL_S = 15.0
"""Time without a row's end past which a job stands still, unless its rows end further apart than that."""
USUAL_TIMES = 3
"""The same for such a job, in times of what usually lies between two rows' ends."""


class Waits(NamedTuple):
    """What rows are doing just now: in a request, waiting for the rate, backing off; seconds the rate is paused for.

    `paused_by` tells why: `rate_limited` by the API, its rate is `used_up` by its own word, or it is `failing`. The
    shared rate in force and the one asked for are 0 where nothing is known; `slowed_by` says why they differ: `429`,
    the API's `headers`, or it is `failing`. `blocked` rows wait until job `blocked_by` ('' where not known) is done
    with their completions, a request of it may still be running.
    """

    in_flight: int = 0
    for_rate: int = 0
    backing_off: int = 0
    paused_s: float = 0.0
    paused_by: str = ""
    rate_per_minute: float = 0.0
    asked_per_minute: float = 0.0
    slowed_by: str = ""
    blocked: int = 0
    blocked_by: str = ""


class LastError(msgspec.Struct, frozen=True):
    """The last request that did not succeed: its HTTP status (0: no answer), its code, the server's message."""

    status: int
    code: str
    message: str


class Standstill(NamedTuple):
    """Since when no row of a running job has ended, for how many seconds, and the last error since then."""

    since: float
    seconds: float
    last_error: LastError | None


def rows_per_s(pace: dict[bytes, bytes], now: float) -> float:
    """Return the rows a second that settled lately."""
    if b"before_at" not in pace:
        return 0.0
    settled, since, before = (float(pace[name]) for name in (b"settled", b"before_at", b"before_rows"))
    return max(0.0, (settled - before) / max(now - since, 0.5))


def progress_at(job: dict[bytes, bytes], pace: dict[bytes, bytes]) -> float:
    """Return when a row of the job ended last; where none has since, when the job was resumed or submitted."""
    began = job.get(b"running_at", job[b"submitted_at"])
    return max(float(began), float(pace.get(b"progress_at") or pace.get(b"mark_at") or 0))


def standstill(pace: dict[bytes, bytes], since: float, now: float) -> Standstill | None:
    """Return that no row of a running job has ended `since`; None where the last one ended as lately as is usual."""
    if now - since < max(STANDSTILL_S, USUAL_TIMES * _between_ends(pace)):
        return None
    error = None
    if float(pace.get(b"last_error_at", 0)) >= since:
        error = msgspec.json.decode(pace[b"last_error"], type=LastError)
    return Standstill(since, now - since, error)


def _between_ends(pace: dict[bytes, bytes]) -> float:
    """Return the seconds that lay between two rows' ends when rows ended last, 0 where that is not known."""
    names = (b"before_at", b"mark_at", b"before_rows", b"mark_rows")
    if not all(name in pace for name in names):
        return 0.0
    began, ended, before, after = (float(pace[name]) for name in names)
    return (ended - began) / max(1.0, after - before)


def waits(pace: dict[bytes, bytes], now: float) -> Waits:
    """Return the sum of what workers recorded of their shards lately; of the rate, the last record counts."""
    said = [value.decode().split(" ") for name, value in pace.items() if name.startswith(b"shard:")]
    fresh = sorted(words for words in said if now - float(words[0]) < RECORD_KEPT_S)
    in_flight, for_rate, backing_off = (sum(int(words[place]) for words in fresh) for place in (1, 2, 3))
    paused = max(((float(words[4]) - (now - float(words[0])), words[5]) for words in fresh), default=(0.0, ""))
    paused_s, paused_by = paused if paused[0] > 0 else (0.0, "")
    of_rate = [words[6:9] for words in fresh if len(words) >= 9 and float(words[7]) > 0]
    rate, asked, slowed_by = of_rate[-1] if of_rate else ("0", "0", "")
    blocked = [(int(words[9]), words[10]) for words in fresh if len(words) == 11]
    return Waits(
        in_flight=in_flight,
        for_rate=for_rate,
        backing_off=backing_off,
        paused_s=paused_s,
        paused_by=paused_by,
        rate_per_minute=float(rate),
        asked_per_minute=float(asked),
        slowed_by=slowed_by,
        blocked=sum(rows for rows, _ in blocked),
        blocked_by=next((job_id for _, job_id in blocked if job_id), ""),
    )
