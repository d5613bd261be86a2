"""The ledger as its users hold it: jobs, shards and settlements on one connection."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from redis.asyncio import Redis

from ledger.accepted_keys import AcceptedKeys
from ledger.approval import Approvals
from ledger.archive_queue import ArchiveQueue
from ledger.audit import Audit
from ledger.browser_sessions import BrowserSessions
from ledger.claims import Claims
from ledger.fingerprints import Fingerprints
from ledger.identity import Identities
from ledger.job_states import Jobs
from ledger.job_store import JobStore
from ledger.list_reads import ListReads
from ledger.log_state import LogStates
from ledger.losses import Losses
from ledger.plan_counts import Plans
from ledger.row_index import RowIndexes
from ledger.service_profile import Behaviours
from ledger.settlements import Settlements
from ledger.shards import Shards
from ledger.tokens import Tokens
from ledger.workers import Workers

T = TypeVar("T")


def _part(kind: Callable[[Redis], T]) -> cached_property[T]:
    """Return a part of a ledger that is made when it is used first: most commands need two or three."""
    return cached_property(lambda ledger: kind(ledger.redis))


class Ledger:
    """Everything that is kept of jobs, over one client that somebody else closes."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    identity = _part(Identities)
    losses = _part(Losses)
    jobs = _part(Jobs)
    job_store = cached_property(lambda ledger: JobStore(ledger.redis, ledger.jobs))
    fingerprints = cached_property(lambda ledger: Fingerprints(ledger.redis, ledger.jobs))
    shards = _part(Shards)
    workers = _part(Workers)
    audit = _part(Audit)
    approvals = _part(Approvals)
    accepted_keys = _part(AcceptedKeys)
    behaviours = _part(Behaviours)
    claims = _part(Claims)
    list_reads = _part(ListReads)
    archive_queue = _part(ArchiveQueue)
    row_indexes = _part(RowIndexes)
    log_states = _part(LogStates)
    settlements = _part(Settlements)
    plans = _part(Plans)
    tokens = _part(Tokens)
    browser_sessions = cached_property(lambda ledger: BrowserSessions(ledger.redis, ledger.tokens))
