"""What a simulation sees of the ledger between two steps: everything that a step may change of jobs and claims."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import redis

from ledger.claims import claim_of
from ledger.keys import TOTALS, JobKeys, claim_key
from tests.simulation.service import BASE_URL

SCRIPT = """
local time, claims, jobs, of_jobs = redis.call('TIME'), {}, {}, tonumber(ARGV[1]) + 2
for i = 1, tonumber(ARGV[1]) do
  local held = redis.call('GET', KEYS[i])
  if held then
    local job, owner = string.match(held, '^(%S+) (%S+)')
    claims[#claims + 1] = { KEYS[i], job, owner, redis.call('PEXPIRETIME', KEYS[i]) / 1000 }
  end
end
local function times_of(packed)
  local times = {}
  for at = 1, #packed, 4 do
    times[#times + 1] = struct.unpack('>I4', packed, at)
  end
  return times
end
for job = 2, #ARGV do
  local key, images, tries = of_jobs, {}, redis.call('HGETALL', KEYS[of_jobs + 8])
  local list = redis.call('HMGET', KEYS[key], 'approved_by', 'reason_code', 'reader', 'mark', 'adopted')
  for i = 1, 5 do
    list[i] = list[i] or ''
  end
  list[6], list[7], list[8] = '', 0, 0
  if redis.call('HEXISTS', KEYS[key], 'selection') == 1 then
    list[6] = redis.call('GET', KEYS[key + 9]) or ''
    list[7] = redis.call('PEXPIRETIME', KEYS[key + 9]) / 1000
    list[8] = redis.call('LLEN', KEYS[key + 10])
  end
  for i = 2, #tries, 2 do
    tries[i] = redis.sha1hex(tries[i])
  end
  for shard = 1, tonumber(ARGV[job]) do
    images[shard] = redis.call('STRLEN', KEYS[key + 10 + shard])
  end
  jobs[job - 1] = {
    redis.call('HGET', KEYS[key], 'state') or '',
    redis.call('GET', KEYS[key + 1]) or '',
    redis.call('HGETALL', KEYS[key + 2]),
    times_of(redis.call('GET', KEYS[key + 3]) or ''),
    redis.call('ZRANGE', KEYS[key + 4], 0, -1),
    redis.call('ZRANGE', KEYS[key + 5], 0, -1),
    redis.call('ZRANGE', KEYS[key + 6], 0, -1, 'WITHSCORES'),
    redis.call('HGETALL', KEYS[key + 7]),
    tries,
    images,
    list,
  }
  of_jobs = of_jobs + 11 + tonumber(ARGV[job])
end
local generation = redis.call('HGET', KEYS[tonumber(ARGV[1]) + 1], 'ledger:generation') or ''
return cmsgpack.pack({ time[1] + time[2] / 1000000, generation, claims, jobs })
"""
"""Reads all of it at one moment. KEYS: the claims, the totals, then of each job those of `_keys`; ARGV: the number of
claims, then of each job the number of its shards."""


class Claim(NamedTuple):
    """A claim on a completion, and when it ends by the server's clock; where `job` is `=`, the record of a write."""

    job: str
    owner: str
    until: float


class ReadingView(NamedTuple):
    """The reading of the list for a job: who began it last and has not left, and until when who has the lock.

    `mark` is where it stands, `pages` how many are kept, `adopted` that the job has its rows.
    """

    began_by: str
    mark: str
    adopted: bool
    holder: str
    held_until: float
    pages: int


class JobView(NamedTuple):
    """A job as it is stored. `tries` are digests, `images` the bytes of each shard's journal."""

    state: str
    outcomes: bytes
    counts: dict[str, str]
    times: list[int]
    waiting: list[str]
    announced: list[str]
    leased: dict[str, str]
    owners: dict[str, str]
    tries: dict[str, str]
    images: list[int]
    approved_by: str
    code: str
    reading: ReadingView

    def holds(self, shard: int, owner: str) -> bool:
        """Return whether the lease on the shard is this owner's."""
        return bool(owner) and str(shard) in self.leased and self.owners.get(str(shard)) == owner

    def lease_left_s(self, shard: int, now: float) -> float:
        """Return the seconds that the lease on the shard lives yet; minus infinity where there is none."""
        return float(self.leased.get(str(shard), -math.inf)) - now

    def has_living_lease(self, owner: str, now: float) -> bool:
        """Return whether this owner has a lease that has not run out."""
        return any(holder == owner and self.lease_left_s(int(shard), now) > 0 for shard, holder in self.owners.items())


class LedgerView(NamedTuple):
    """The ledger at a moment by the server's clock; jobs are in the order in which they were asked for."""

    now: float
    generation: str
    claims: dict[str, Claim]
    jobs: list[JobView]

    def claim_on(self, completion_id: str, *, at: float | None = None) -> Claim | None:
        """Return the claim or record on a completion; None where there is none, or it has run out by `at`."""
        claim = self.claims.get(claim_key(claim_of(BASE_URL, completion_id)))
        return claim if claim is not None and claim.until > (self.now if at is None else at) else None


class LedgerReader:
    """Reads the ledger by one script."""

    def __init__(self, admin: redis.Redis, completions: Sequence[str]) -> None:
        self._first = [claim_key(claim_of(BASE_URL, each)) for each in completions]
        self._script = admin.register_script(SCRIPT)

    def read(self, jobs: Sequence[tuple[JobKeys, int]]) -> LedgerView:
        """Return what is stored of these jobs, each given by its keys and the number of its shards."""
        keys = [*self._first, TOTALS]
        for job, shards in jobs:
            keys += _keys(job, shards)
        shards_of = [shards for _, shards in jobs]
        packed: Any = self._script(keys, [len(self._first), *shards_of])
        now, generation, claims, found = msgspec.msgpack.decode(packed)
        return LedgerView(now, generation, {key: Claim(*claim) for key, *claim in claims}, [_job(job) for job in found])


def _keys(job: JobKeys, shards: int) -> list[str]:
    first = (
        job.job,
        job.outcomes,
        job.counts,
        job.times,
        job.waiting,
        job.announced,
        job.leased,
        job.owners,
        job.tries,
        job.reader,
        job.selected,
    )
    return [*first, *(job.journal(shard) for shard in range(shards))]


def _job(found: list[Any]) -> JobView:
    state, outcomes, counts, times, waiting, announced, leased, owners, tries, images, more = found
    pairs = [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in (counts, leased, owners, tries)]
    counted, leases, holders, tried = pairs
    places = (waiting, announced, leases, holders)
    approved_by, code, began_by, mark, adopted, *lock = more
    reading = ReadingView(began_by, mark, bool(adopted), *lock)
    return JobView(state, outcomes.encode(), counted, times, *places, tried, images, approved_by, code, reading)
