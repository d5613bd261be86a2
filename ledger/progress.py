"""Reads how fast a job goes and what its workers wait for, from what they leave word of."""

from __future__ import annotations

from ledger.job import Waits

WORD_KEPT_S = 5.0
"""Age at which what a worker said of its shard counts no more."""


def rows_per_s(pace: dict[bytes, bytes], now: float) -> float:
    """Give the rows that settled in a second lately."""
    if b"before_at" not in pace:
        return 0.0
    settled, since, before = (float(pace[name]) for name in (b"settled", b"before_at", b"before_rows"))
    return max(0.0, (settled - before) / max(now - since, 0.5))


def waits(pace: dict[bytes, bytes], now: float) -> Waits:
    """Add up what the workers said of their shards in the last seconds; of the rate, the last word counts."""
    said = [value.decode().split(" ") for name, value in pace.items() if name.startswith(b"shard:")]
    fresh = sorted(words for words in said if now - float(words[0]) < WORD_KEPT_S)
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
