"""What a row needs to know of the service, from a probe's findings where there are any."""

from __future__ import annotations

from typing import NamedTuple

from ledger.records import LEAST_LIFE_S, record_life_s
from ledger.service_profile import Behaviour, PairLimit, Semantics

STALE_S = 20.0
"""Least time for which a read is believed to lag behind a recorded write; longer where a probe saw more. A new
completion was seen after 19 s at most (contract section 5)."""


class Service(NamedTuple):
    """What is known of a service.

    A read shows an update `visible_after_s` seconds after its answer, by a probe. For `stale_s` seconds a read is
    believed to lag behind a recorded write, and the record lives `record_life_s` seconds. `reads_confirm`: replies only
    echo the request, so they do not prove a removal. Where null in place of a value is what removes a key, `nulls` is
    which pairs the service counts.
    """

    visible_after_s: float = 0.0
    stale_s: float = STALE_S
    record_life_s: float = LEAST_LIFE_S
    reads_confirm: bool = False
    nulls: PairLimit | None = None
    pages_serve_writes: bool = False


def service_of(behaviour: Behaviour | None) -> Service:
    """Return what a probe's findings mean for rows; the defaults for None, where nobody probed the service."""
    if behaviour is None:
        return Service()
    lag_s = behaviour.visible_after_s
    nulls = behaviour.pair_limit or PairLimit.UNKNOWN if behaviour.null_is_needed else None
    shows_all = behaviour.listed_at_once is True and behaviour.reply_echoes is False
    return Service(
        lag_s,
        max(lag_s, STALE_S),
        record_life_s(lag_s),
        bool(behaviour.reply_echoes),
        nulls,
        shows_all and behaviour.semantics is Semantics.MERGES,
    )
