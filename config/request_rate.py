"""A rate of requests as people write it."""

from __future__ import annotations

_PER_MINUTE = {"s": 60.0, "m": 1.0, "h": 1 / 60}


def parse_rate(text: str) -> float:
    """Return requests a minute of a text such as 600/m, 10/s, 36000/h, or a number a minute.

    Raises:
        ValueError: it is none.

    """
    number, _, unit = text.partition("/")
    try:
        rate = float(number) * _PER_MINUTE[unit[:1] or "m"]
    except (ValueError, KeyError):
        rate = -1.0
    if not 0 < rate < 1e9:
        raise ValueError(f"{text!r} is not a rate; write requests a minute, or 10/s, 600/m, 36000/h")
    return rate
