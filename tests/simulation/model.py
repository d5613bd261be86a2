"""Judges a simulation by a model of its own: what each row may do to its completion, and what the ledger has to say."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import redis

from ledger.codec import unpack_images
from ledger.row import OUTCOMES, Metadata, Outcome
from tests.simulation.authority import Step
from tests.simulation.ledger_view import JobView, LedgerReader, LedgerView
from tests.simulation.model_job import ModelJob
from tests.simulation.process import Process
from tests.simulation.service import Request, Service

DONE = (Outcome.UPDATED, Outcome.UNCHANGED)
NOT_DONE = (Outcome.FAILED, Outcome.CANCELLED)
FOREIGN = "theirs"
"""A value that no completion holds: a row that expects it has drifted."""
FENCE_S = 6.01
"""Seconds for which a worker believes a renewal, and what the clocks may lose by rounding."""
LEAST_LEFT_S = 1.99
"""Seconds that a lease still lives at least when a write leaves: of 8 s, a renewal is believed for 6."""


class Model:
    """What must hold. Jobs change a key each of their own, and nobody else edits anything."""

    def __init__(self, admin: redis.Redis, service: Service) -> None:
        self.jobs: dict[str, ModelJob] = {}
        self.lost: dict[str, ModelJob] = {}
        """The jobs that were there when Redis came back empty."""
        self.lost_at: float | None = None
        """When that was, by the clock of the world."""
        self.admin = admin
        self.service = service
        self._reader = LedgerReader(admin, list(service.states))
        self._view = self._read()

    def add(self, job: ModelJob) -> None:
        """Watch a job from now on."""
        self.jobs[job.job_id] = job
        self._view = self._read()

    @property
    def known(self) -> dict[str, ModelJob]:
        """All jobs, in the order in which they were asked for."""
        return self.lost | self.jobs

    def is_undone(self, job: ModelJob) -> bool:
        """Return whether somebody has taken the job back, or has begun to."""
        return any(other.undoes == job.job_id for other in self.jobs.values())

    def lose_all(self, at: float) -> None:
        """Expect nothing more of the jobs that are there: Redis comes back empty."""
        self.lost_at = at
        self.lost |= {job.job_id: job for job in self.jobs.values() if job.state}
        self.jobs = {job_id: job for job_id, job in self.jobs.items() if not job.state}
        self._view = self._read()

    def forget_unborn(self) -> None:
        """Forget the jobs that nobody stored to their end, as their producer met a fault: workers never see them."""
        unborn = [job for job in self.jobs.values() if job.state in {"", "submitting"}]
        for job in (job for job in unborn if not job.state or job.selects is None):
            assert not job.left, f"{job.job_id} was never opened, and is written"
            del self.jobs[job.job_id]
        self._view = self._read()

    def leaves(self, process: Process, request: Request, others: list[Request]) -> None:
        """Judge a write that leaves: with lease, claim and image, and beside no other job's write."""
        sender = request.sender
        if sender.job_id in self.lost:
            self._check_lost_write(process, request)
            return
        job = self.jobs[sender.job_id]
        row = job.row_of(sender)
        what = f"row {row} of {job.job_id} is written by {process.name}"
        assert not job.plans, f"{what}, and the job is a plan"
        self._view = self._read()
        self._check_may_write(job, request, what)
        foreign = [other for other in others if other.sender.job_id != job.job_id]
        assert not foreign, f"{what} while this may still be applied: {[other.words for other in foreign]}"
        if job.journal:
            rows = len(job.shards[sender.shard])
            journal: Any = self.admin.get(job.keys.journal(sender.shard))
            image = unpack_images(journal or b"", rows).get(sender.row)
            assert image is not None, f"{what} without a before-image"
            self._check_image(job, row, image.metadata, what)
        self._check_canary(job, row, what)
        job.left.add(row)

    def applied(self, request: Request) -> None:
        """Judge a write that was applied: it changes nothing but its own job's keys."""
        job = self.known[request.sender.job_id]
        row = job.row_of(request.sender)
        before, after = self.service.states[request.completion_id][-2:]
        own = job.patches[row].metadata.keys()
        lost = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} - own
        assert not lost, f"row {row} of {job.job_id} changed others' keys {sorted(lost)} of {request.completion_id}"
        job.before.setdefault(row, before)

    def answered(self, request: Request) -> None:
        """Record that the answer to a write has reached its sender."""
        job = self.known[request.sender.job_id]
        job.answered[job.row_of(request.sender)] = request.sender.owner

    def shown(self, request: Request, metadata: Metadata) -> None:
        """Record that the answer to a read shows this."""
        job = self.known[request.sender.job_id]
        row = job.row_of(request.sender)
        if row in job.before and all(metadata.get(key) == value for key, value in job.patches[row].metadata.items()):
            job.read_back.add(row)

    def begins(self, request: Request) -> None:
        """Count a request that a worker begins."""
        self.known[request.sender.job_id].requests += 1

    def look(self, by: str = "") -> None:
        """Judge the ledger as it is now, and what was changed by the lease owner `by` since the last look."""
        before, self._view = self._view, self._read()
        jobs = list(self.jobs.values())
        is_same = before.generation in {"", self._view.generation}
        assert is_same, f"the ledger was {before.generation}, and is {self._view.generation}"
        Step(before, self._view, by, self.admin).check(jobs, self.service.states)
        for job, was, now in zip(jobs, before.jobs, self._view.jobs, strict=True):
            if was != now and now.state:
                job.state = now.state
                self._check_rows(job, now.outcomes)
                self._check_times(job, now.times)
                self._check_sums(job, now)
                self._check_places(job, now)
        if any(len(view.images) != len(job.shards) for job, view in zip(jobs, self._view.jobs, strict=True)):
            self._view = self._read()  # a job has its rows now

    def _read(self) -> LedgerView:
        return self._reader.read([(job.keys, len(job.shards)) for job in self.jobs.values()])

    def _check_lost_write(self, process: Process, request: Request) -> None:
        """The workers of a job that is gone learn so by their next renewal; until then the fence may be open."""
        since_s = (request.left_at or 0.0) - (self.lost_at or 0.0)
        assert since_s <= FENCE_S, f"{process.name} sends {request.words}, {since_s:.2f} s after its job was lost"

    def _check_may_write(self, job: ModelJob, request: Request, what: str) -> None:
        sender, view = request.sender, self._view.jobs[list(self.jobs).index(job.job_id)]
        owner = view.owners.get(str(sender.shard), "")
        assert owner.endswith(sender.owner), f"{what}, whose lease is {owner or 'gone'}"
        left_s = view.lease_left_s(sender.shard, self._view.now)
        assert left_s >= LEAST_LEFT_S, f"{what}, whose lease has {left_s:.2f} s left"
        claim = self._view.claim_on(request.completion_id)
        is_ours = claim is not None and (claim.job, claim.owner) == (job.job_id, owner)
        assert is_ours, f"{what}, and the claim is {claim or 'gone'}"

    def _check_image(self, job: ModelJob, row: int, image: Metadata, what: str) -> None:
        first = job.images.setdefault(row, image)
        patch = job.patches[row].metadata
        changed = {key for key, value in patch.items() if first.get(key) != value}
        kept = {key for key in changed if image.get(key) == first.get(key)}
        assert kept == changed, f"{what}, and the first image {first} was overwritten by {image}"

    def _check_canary(self, job: ModelJob, row: int, what: str) -> None:
        """A row beside the canary is written only once that has ended well, or somebody wants it all the same."""
        if row < job.canary:
            return
        ended = [job.outcome(first) for first in range(job.canary)]
        assert Outcome.PENDING not in ended, f"{what} while the canary is open: {ended}"
        is_well = Outcome.FAILED not in ended and ended.count(Outcome.DRIFTED) * 10 <= job.canary
        assert is_well or job.resumed, f"{what} though the canary failed, and nobody overruled it: {ended}"

    def _check_rows(self, job: ModelJob, outcomes: bytes) -> None:
        for row, outcome in enumerate(outcomes):
            had = job.outcomes[row] if job.outcomes else Outcome.PENDING
            assert had in {Outcome.PENDING, outcome}, f"row {row} of {job.job_id} was settled twice: {had}, {outcome}"
            if had != outcome:
                self._check_outcome(job, row, Outcome(outcome))
        job.outcomes = outcomes

    def _check_outcome(self, job: ModelJob, row: int, outcome: Outcome) -> None:
        """A row that is done holds what was asked for; a job that keeps images knows whether it wrote it.

        A plan asks for a value that nobody writes, so each row of it would change.
        """
        what = f"row {row} of {job.job_id} is {outcome.word}"
        may_be = {Outcome.WOULD_CHANGE, *NOT_DONE} if job.plans else {*DONE, Outcome.DRIFTED, *NOT_DONE}
        assert outcome in may_be, f"{what}, as no row of such a job ends"
        may_drift = FOREIGN in (job.patches[row].expect or {}).values()
        assert outcome is not Outcome.DRIFTED or may_drift, f"{what}, though nobody else changed its key"
        assert row not in job.left or not may_drift, f"{what}, and was written over what somebody else wrote"
        is_seen = outcome is not Outcome.UPDATED or row >= job.canary or row in job.read_back
        assert is_seen, f"{what} as a canary, and was not read back"
        if outcome in DONE:
            patch = job.patches[row]
            held = self.service.held(patch.completion_id)
            wrong = {key for key, value in patch.metadata.items() if held.get(key) != value}
            assert not wrong, f"{what}, and {wrong} is not there"
        is_known = outcome is not Outcome.UNCHANGED or not job.journal or row not in job.before
        assert is_known, f"{what}, and it was written"

    def _check_times(self, job: ModelJob, ended: list[int]) -> None:
        """When a row ended is known of each row that has, and never changes."""
        for row, (at, had) in enumerate(zip_longest(ended, job.times or [0] * len(ended))):
            has_ended = job.outcome(row) is not Outcome.PENDING
            assert bool(at) == has_ended, f"row {row} of {job.job_id} ended at {at}: {job.outcome(row).word}"
            assert had in {0, at}, f"row {row} of {job.job_id} ended at {had}, then at {at}"
        job.times = ended

    def _check_sums(self, job: ModelJob, view: JobView) -> None:
        for number, word in enumerate(OUTCOMES, 1):
            said, there = int(view.counts.get(word, 0)), view.outcomes.count(number)
            assert said == there, f"{job.job_id} counts {said} rows {word}, and {there} are"
        assert int(view.counts["total"]) == len(job.patches) == len(view.outcomes)
        requests = int(view.counts.get("requests", 0))
        assert requests <= job.requests, f"{job.job_id} counts {requests} requests, and {job.requests} were begun"

    def _check_places(self, job: ModelJob, view: JobView) -> None:
        where = sorted(map(int, (*view.waiting, *view.announced, *view.leased)))
        assert len(where) == len(set(where)), f"a shard of {job.job_id} is in two places: {view}"
        if job.state == "submitting":
            return
        open_rows = [row for row, outcome in enumerate(job.outcomes) if outcome == Outcome.PENDING]
        nowhere = {job.shard_of(row) for row in open_rows} - set(where)
        assert not nowhere, f"shards {nowhere} of {job.job_id} have open rows, and are nowhere"
        assert job.state != "finished" or not open_rows, f"{job.job_id} is finished, and has open rows {open_rows}"
