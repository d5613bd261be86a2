"""Judges who changed what in a step: only the holder of a lease settles, keeps images, renews, releases and claims."""

from __future__ import annotations

from collections.abc import Iterable

import redis

from ledger.codec import unpack_images
from ledger.row import Outcome
from tests.simulation.ledger_view import Claim, JobView, LedgerView
from tests.simulation.model_job import ModelJob
from tests.simulation.reading import READING_MOVES, ReadingStep

PARK_AFTER = 4
"""Leases that run out before a shard is parked, one after the other and without a settled row."""
MOVES = {
    "": {"submitting"},
    "submitting": {"held", "running", "finished"},
    "held": {"running", "cancelled"},
    "running": {"paused", "finished", "cancelled"},
    "paused": {"running", "finished", "cancelled"},
}
"""The states that a job may come to from each."""
SUBMITTER, LEAD = "person", "lead"
"""Who submits all jobs, and who else may approve those that need it."""
UNAPPROVED = {"submitting", "held", "cancelled"}
"""The states of a job that needs approval and has none."""


class Step:
    """The ledger before and after one command; `by` is the owner of the lease that its sender named, '' for none."""

    def __init__(self, before: LedgerView, after: LedgerView, by: str, admin: redis.Redis) -> None:
        self._before = before
        self._after = after
        self._by = by
        self._admin = admin

    def check(self, jobs: Iterable[ModelJob], completions: Iterable[str]) -> None:
        """Judge what the step changed of these jobs, in the order in which both views have them, and of the claims."""
        jobs = list(jobs)
        self._plans = [job.plans for job in jobs]
        for job, was, now in zip(jobs, self._before.jobs, self._after.jobs, strict=True):
            if was != now and now.state:
                self._check_state(job, was, now)
                if job.selects is not None and was.state:
                    ReadingStep(job, was, now, self._by, self._after.now).check(self._admin)
                self._check_approval(job, was, now)
                self._check_rows(job, was, now)
                self._check_leases(job, was, now)
                self._check_tries(job, was, now)
                self._check_images(job, was, now)
        for completion_id in completions:
            self._check_claim(completion_id, {job.job_id: at for at, job in enumerate(jobs)})
            self._check_given_up(completion_id, jobs)

    def _check_state(self, job: ModelJob, was: JobView, now: JobView) -> None:
        is_read = job.selects is not None and was.state in READING_MOVES
        moves = READING_MOVES if is_read else MOVES
        is_allowed = was.state == now.state or now.state in moves.get(was.state, set())
        assert is_allowed, f"{job.job_id} was {was.state}, and is {now.state}"

    def _check_approval(self, job: ModelJob, was: JobView, now: JobView) -> None:
        """Nothing of a job that needs approval is given out before somebody else gave it, of what the job does."""
        if now.approved_by:
            is_right = job.needs_approval and job.was_approved and now.approved_by == LEAD
            assert is_right, f"{job.job_id} was approved by {now.approved_by}"
            assert was.approved_by or was.state == "held", f"{job.job_id} was {was.state} when it was approved"
        elif job.needs_approval:
            assert now.state in UNAPPROVED, f"{job.job_id} is {now.state}, and nobody approved it"
            given_out = [*now.announced, *now.leased]
            assert not given_out, f"shards {given_out} of {job.job_id} are given out, and nobody approved it"

    def _check_rows(self, job: ModelJob, was: JobView, now: JobView) -> None:
        """A row is settled by the holder of its shard's lease, or closed while nobody has it."""
        for row, outcome in enumerate(now.outcomes):
            if not was.outcomes or was.outcomes[row] == outcome:
                continue
            shard = job.shard_of(row)
            what = f"row {row} of {job.job_id} was settled as {Outcome(outcome).word}"
            if self._by and outcome != Outcome.CANCELLED:
                assert was.holds(shard, self._by), f"{what} by {self._by}, and the lease is {was.owners}"
                job.rescued[shard] = 0
                continue
            assert str(shard) not in was.leased, f"{what} while {was.owners} has the shard"
            is_due = outcome == Outcome.CANCELLED or job.rescued[shard] >= PARK_AFTER
            assert is_due, f"{what} after {job.rescued[shard]} leases that ran out"

    def _check_leases(self, job: ModelJob, was: JobView, now: JobView) -> None:
        assert now.owners.keys() == now.leased.keys(), f"{job.job_id} has leases {now.leased} of {now.owners}"
        for shard in was.leased.keys() | now.leased.keys():
            had, has = was.owners.get(shard), now.owners.get(shard)
            what = f"the lease on shard {shard} of {job.job_id}, which {had} had,"
            if has is None:
                is_over = was.lease_left_s(int(shard), self._after.now) <= 0
                assert is_over or had == self._by, f"{what} was ended by {self._by or 'a rescue'}"
                job.rescued[int(shard)] += had != self._by
            elif had is None or was.leased.get(shard) != now.leased[shard]:
                assert has == self._by, f"{what} was renewed by {self._by or 'nobody'} for {has}"
            assert had is None or has is None or had == has, f"{what} was taken by {has}"

    def _check_tries(self, job: ModelJob, was: JobView, now: JobView) -> None:
        for row, packed in now.tries.items():
            may = was.tries.get(row) == packed or was.holds(job.shard_of(int(row)), self._by)
            assert may, f"the tries of row {row} of {job.job_id} were stored by {self._by}, whose lease is over"

    def _check_images(self, job: ModelJob, was: JobView, now: JobView) -> None:
        """An image is kept by a worker with the lease of its shard and, but in a plan, the claim on its completion."""
        for shard, (had, size) in enumerate(zip(was.images, now.images, strict=True)):
            if size <= had:
                continue
            what = f"images of shard {shard} of {job.job_id} were kept by {self._by}"
            assert was.holds(shard, self._by), f"{what}, and the lease is {was.owners}"
            rows = job.shards[shard]
            added = self._admin.getrange(job.keys.journal(shard), had, -1)
            for row in () if job.plans else unpack_images(added, len(rows)):  # type: ignore[arg-type]
                claim = self._after.claim_on(job.patches[rows[row]].completion_id)
                is_ours = claim is not None and (claim.job, claim.owner) == (job.job_id, self._by)
                assert is_ours, f"{what}, and the claim is {claim}"

    def _check_claim(self, completion_id: str, places: dict[str, int]) -> None:
        """A claim ends with its life or by its owner, or goes to the next owner of its job once that lease is over."""
        was = self._before.claim_on(completion_id, at=self._after.now)
        now = self._after.claim_on(completion_id)
        is_taken = now is not None and now.job != "=" and (was is None or (was.job, was.owner) != (now.job, now.owner))
        if now is not None and is_taken and now.job in places:
            view = self._before.jobs[places[now.job]]
            what = f"the claim on {completion_id} was taken for {now.job} by {self._by}"
            assert not self._plans[places[now.job]], f"{what}, and a plan claims nothing"
            assert now.owner == self._by, f"{what}, and names {now.owner}"
            assert now.owner in view.owners.values(), f"{what}, which has no lease"
        if was is None or was.job == "=" or was.job not in places:
            return
        is_left = now is None or (now.job, now.owner) != (was.job, was.owner)
        if is_left and was.owner != self._by:
            self._check_taken_over(completion_id, was, now, self._before.jobs[places[was.job]])

    def _check_given_up(self, completion_id: str, jobs: list[ModelJob]) -> None:
        """Who wrote gives its claim up once the row is settled, not before, and leaves a record of the write."""
        was = self._before.claim_on(completion_id, at=self._after.now)
        now = self._after.claim_on(completion_id)
        if was is None or was.owner != self._by or (now is not None and now.owner == was.owner and now.job == was.job):
            return
        for job, view in zip(jobs, self._after.jobs, strict=True):
            for row, owner in job.answered.items():
                if job.job_id != was.job or job.patches[row].completion_id != completion_id or owner != was.owner[-8:]:
                    continue
                what = f"the claim of row {row} of {job.job_id}, which is written, was given up"
                assert view.outcomes[row] != Outcome.PENDING, f"{what} before the row was settled"
                assert view.outcomes[row] != Outcome.UPDATED or now is not None, f"{what} without a record"

    def _check_taken_over(self, completion_id: str, was: Claim, now: Claim | None, view: JobView) -> None:
        what = f"the claim on {completion_id} that {was.owner} had for {was.job}"
        assert now is not None, f"{what} was ended by {self._by}"
        assert now.job == was.job, f"{what} went to {now.job}"
        is_alive = view.has_living_lease(was.owner, self._after.now)
        assert not is_alive, f"{what} was taken over by {now.owner} while its lease lives"
