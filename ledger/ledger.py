"""The ledger as its users hold it: jobs, shards and settlements on one connection."""

from __future__ import annotations

from redis.asyncio import Redis

from ledger.accepted_keys import AcceptedKeys
from ledger.archive_queue import ArchiveQueue
from ledger.audit import Audit
from ledger.claims import Claims
from ledger.fingerprints import Fingerprints
from ledger.identity import Identities
from ledger.job_store import Jobs
from ledger.log_state import LogStates
from ledger.losses import Losses
from ledger.plan_counts import Plans
from ledger.row_index import RowIndexes
from ledger.service_profile import Behaviours
from ledger.settlements import Settlements
from ledger.shards import Shards
from ledger.tokens import Tokens
from ledger.workers import Workers


class Ledger:
    """Everything that is kept of jobs, over one client that somebody else closes."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.identity = Identities(redis)
        self.losses = Losses(redis)
        self.jobs = Jobs(redis)
        self.fingerprints = Fingerprints(redis, self.jobs)
        self.shards = Shards(redis)
        self.workers = Workers(redis)
        self.audit = Audit(redis)
        self.accepted_keys = AcceptedKeys(redis)
        self.behaviours = Behaviours(redis)
        self.claims = Claims(redis)
        self.archive_queue = ArchiveQueue(redis)
        self.row_indexes = RowIndexes(redis)
        self.log_states = LogStates(redis)
        self.settlements = Settlements(redis)
        self.plans = Plans(redis)
        self.tokens = Tokens(redis)
