"""Judges a simulation by a model of its own: what each row may do to its completion, and what the ledger has to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import redis

from ledger.claims import claim_of
from ledger.codec import unpack_detail, unpack_images
from ledger.job import Mode
from ledger.keys import LASTING, TOTALS, JobKeys, claim_key
from ledger.patching import apply_patch
from ledger.row import OUTCOMES, Metadata, Outcome, Patch
from ledger.shards import IN_DOUBT_CODE
from tests.simulation.process import Process
from tests.simulation.service import BASE_URL, Request, Service

LOOK = """
local found = {}
for i = 1, #KEYS, 7 do
  found[#found + 1] = {
    redis.call('HGET', KEYS[i], 'state') or '',
    redis.call('GET', KEYS[i + 1]) or '',
    redis.call('HGETALL', KEYS[i + 2]),
    redis.call('GET', KEYS[i + 6]) or '',
    redis.call('ZRANGE', KEYS[i + 3], 0, -1),
    redis.call('ZRANGE', KEYS[i + 4], 0, -1),
    redis.call('ZRANGE', KEYS[i + 5], 0, -1),
  }
end
return found
"""
"""Reads of each job its state, outcomes, counts, when rows ended, and the shards that wait, are announced or leased."""

DONE = (Outcome.UPDATED, Outcome.UNCHANGED)


@dataclass
class ModelJob:
    """A job as the model knows it: its rows, and what was seen of them."""

    job_id: str
    patches: list[Patch]
    shard_rows: int
    journal: bool
    undoes: str | None = None
    state: str = ""
    outcomes: bytes = b""
    times: list[int] = field(default_factory=list)
    before: dict[int, Metadata] = field(default_factory=dict)
    """What a completion held right before the first write of a row was applied."""
    images: dict[int, Metadata] = field(default_factory=dict)
    """The before-image with which the first write of a row left."""
    left: set[int] = field(default_factory=set)
    """Rows of which a write has left."""

    @property
    def keys(self) -> JobKeys:
        """Its keys in Redis."""
        return JobKeys(self.job_id)

    @property
    def shards(self) -> range:
        """The numbers of its shards."""
        return range(-(-len(self.patches) // self.shard_rows))

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left to be done."""
        return self.state in {"finished", "cancelled"} and b"\0" not in self.outcomes

    def outcome(self, row: int) -> Outcome:
        """How the row ended, as last seen."""
        return Outcome(self.outcomes[row]) if row < len(self.outcomes) else Outcome.PENDING


class Model:
    """What must hold. Jobs change a key each of their own, and nobody else edits anything."""

    def __init__(self, admin: redis.Redis, service: Service) -> None:
        self.jobs: dict[str, ModelJob] = {}
        self._admin = admin
        self._service = service
        self._look = admin.register_script(LOOK)

    def add(self, job: ModelJob) -> None:
        """Watch a job from now on."""
        self.jobs[job.job_id] = job

    def forget_unborn(self) -> None:
        """Forget the jobs that nobody stored to their end, as their producer met a fault: workers never see them."""
        for job in [job for job in self.jobs.values() if job.state in {"", "submitting"}]:
            assert not job.left, f"{job.job_id} was never opened, and is written"
            del self.jobs[job.job_id]

    def leaves(self, process: Process, request: Request, others: list[Request]) -> None:
        """Judge a write that leaves: with lease, claim and image, and beside no other job's write."""
        sender = request.sender
        job = self.jobs[sender.job_id]
        row = sender.shard * job.shard_rows + sender.row
        owner, claim, journal = self._lease_and_claim(job, sender.shard, request.completion_id)
        what = f"row {row} of {job.job_id} is written by {process.name}"
        assert owner.endswith(sender.owner), f"{what}, whose lease is {owner or 'gone'}"
        assert claim.startswith(f"{job.job_id} {owner} "), f"{what}, and the claim is {claim or 'gone'}"
        foreign = [other for other in others if other.sender.job_id != job.job_id]
        assert not foreign, f"{what} while this may still be applied: {[other.words for other in foreign]}"
        if job.journal:
            rows = min(job.shard_rows, len(job.patches) - sender.shard * job.shard_rows)
            image = unpack_images(journal, rows).get(sender.row)
            assert image is not None, f"{what} without a before-image"
            self._check_image(job, row, image.metadata, what)
        job.left.add(row)

    def applied(self, request: Request) -> None:
        """Judge a write that was applied: it changes nothing but its own job's keys."""
        sender = request.sender
        job = self.jobs[sender.job_id]
        row = sender.shard * job.shard_rows + sender.row
        before, after = self._service.states[request.completion_id][-2:]
        own = job.patches[row].metadata.keys()
        lost = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} - own
        assert not lost, f"row {row} of {job.job_id} changed others' keys {sorted(lost)} of {request.completion_id}"
        job.before.setdefault(row, before)

    def look(self) -> None:
        """Judge the ledger as it is now."""
        jobs = list(self.jobs.values())
        if not jobs:
            return
        keys = [
            key
            for job in jobs
            for name in [job.keys]
            for key in (name.job, name.outcomes, name.counts, name.waiting, name.announced, name.leased, name.times)
        ]
        found: Any = self._look(keys=keys)
        for job, (state, outcomes, counts, times, *places) in zip(jobs, found, strict=True):
            if state:
                job.state = state.decode()
                self._check_rows(job, outcomes)
                self._check_times(job, times)
                self._check_sums(job, outcomes, counts)
                self._check_places(job, places)

    def check_end(self) -> None:
        """Judge the ledger once all jobs have ended: nothing is left to do, every key ends, each job counted once."""
        self.look()
        for job in self.jobs.values():
            assert job.has_ended, f"{job.job_id} is {job.state} with the outcomes {job.outcomes.hex()}"
            self._check_cancelled(job)
            if job.undoes and job.state == "finished":
                self._check_undone(job)
        self._check_completions()
        self._check_lives()
        self._check_totals()

    def _lease_and_claim(self, job: ModelJob, shard: int, completion_id: str) -> tuple[str, str, bytes]:
        pipe = self._admin.pipeline(transaction=False)
        pipe.hget(job.keys.owners, str(shard))
        pipe.get(claim_key(claim_of(BASE_URL, completion_id)))
        pipe.get(job.keys.journal(shard))
        owner, claim, journal = pipe.execute()
        return (owner or b"").decode(), (claim or b"").decode(errors="replace"), journal or b""

    def _check_image(self, job: ModelJob, row: int, image: Metadata, what: str) -> None:
        first = job.images.setdefault(row, image)
        patch = job.patches[row].metadata
        changed = {key for key, value in patch.items() if first.get(key) != value}
        kept = {key for key in changed if image.get(key) == first.get(key)}
        assert kept == changed, f"{what}, and the first image {first} was overwritten by {image}"

    def _check_rows(self, job: ModelJob, outcomes: bytes) -> None:
        for row, outcome in enumerate(outcomes):
            had = job.outcomes[row] if job.outcomes else Outcome.PENDING
            assert had in {Outcome.PENDING, outcome}, f"row {row} of {job.job_id} was settled twice: {had}, {outcome}"
            if had != outcome and outcome in DONE:
                patch = job.patches[row]
                held = self._service.held(patch.completion_id)
                wrong = {key for key, value in patch.metadata.items() if held.get(key) != value}
                assert not wrong, f"row {row} of {job.job_id} is {Outcome(outcome).word}, and {wrong} is not there"
            if had != outcome and outcome == Outcome.DRIFTED:
                raise AssertionError(f"row {row} of {job.job_id} drifted, though nobody else changed its key")
        job.outcomes = outcomes

    def _check_times(self, job: ModelJob, times: bytes) -> None:
        """When a row ended is known of each row that has, and never changes."""
        ended = [int.from_bytes(times[at : at + 4], "big") for at in range(0, len(times), 4)]
        for row, (at, had) in enumerate(zip_longest(ended, job.times or [0] * len(ended))):
            has_ended = job.outcome(row) is not Outcome.PENDING
            assert bool(at) == has_ended, f"row {row} of {job.job_id} ended at {at}: {job.outcome(row).word}"
            assert had in {0, at}, f"row {row} of {job.job_id} ended at {had}, then at {at}"
        job.times = ended

    def _check_sums(self, job: ModelJob, outcomes: bytes, counts: list[bytes]) -> None:
        counted = dict(zip(counts[::2], counts[1::2], strict=True)) if isinstance(counts, list) else counts
        for number, word in enumerate(OUTCOMES, 1):
            said, there = int(counted.get(word.encode(), 0)), outcomes.count(number)
            assert said == there, f"{job.job_id} counts {said} rows {word}, and {there} are"
        assert int(counted[b"total"]) == len(job.patches) == len(outcomes)

    def _check_places(self, job: ModelJob, places: list[list[bytes]]) -> None:
        where = sorted(int(shard) for place in places for shard in place)
        assert len(where) == len(set(where)), f"a shard of {job.job_id} is in two places: {places}"
        if job.state == "submitting":
            return
        open_rows = [row for row, outcome in enumerate(job.outcomes) if outcome == Outcome.PENDING]
        nowhere = {row // job.shard_rows for row in open_rows} - set(where)
        assert not nowhere, f"shards {nowhere} of {job.job_id} have open rows, and are nowhere"
        assert job.state != "finished" or not open_rows, f"{job.job_id} is finished, and has open rows {open_rows}"

    def _check_cancelled(self, job: ModelJob) -> None:
        cancelled = [row for row in range(len(job.patches)) if job.outcome(row) is Outcome.CANCELLED]
        for row in cancelled:
            detail: Any = self._admin.hget(job.keys.details, str(row))
            is_doubted = detail is not None and unpack_detail(detail).code == IN_DOUBT_CODE
            assert is_doubted or row not in job.left, f"row {row} of {job.job_id} was written, and is cancelled unsent"

    def _check_completions(self) -> None:
        """Each completion holds what it held at first, changed by the writes that were applied and not taken back."""
        expected = {completion_id: dict(states[0]) for completion_id, states in self._service.states.items()}
        for job in self.jobs.values():
            for row in job.before:
                patch = job.patches[row]
                held = expected[patch.completion_id]
                expected[patch.completion_id] = apply_patch(held, patch.metadata, Mode.MERGE)
        for completion_id, metadata in expected.items():
            held = self._service.held(completion_id)
            assert held == metadata, f"{completion_id} holds {held}, and should {metadata}"

    def _check_undone(self, undo: ModelJob) -> None:
        """What the undone job wrote is gone and what it found is there again, in each row that the undo carried out."""
        undone = self.jobs[undo.undoes or ""]
        ended = {patch.completion_id: undo.outcome(row) for row, patch in enumerate(undo.patches)}
        for row, before in undone.before.items():
            patch = undone.patches[row]
            if ended.get(patch.completion_id, Outcome.UPDATED) not in DONE:
                continue
            held = self._service.held(patch.completion_id)
            for key in patch.metadata:
                text = f"the undo of row {row} of {undone.job_id} left {key}={held.get(key)}, not {before.get(key)}"
                assert held.get(key) == before.get(key), text

    def _check_lives(self) -> None:
        names: Any = list(self._admin.scan_iter(count=1000))
        for name in names:
            if name.decode() not in LASTING:
                life: Any = self._admin.ttl(name)
                assert life != -1, f"{name.decode()} would stay for ever"

    def _check_totals(self) -> None:
        totals: Any = self._admin.hgetall(TOTALS)
        for number, word in enumerate(OUTCOMES, 1):
            there = sum(job.outcomes.count(number) for job in self.jobs.values())
            assert int(totals.get(word.encode(), 0)) == there, f"the totals count other rows {word} than {there}"
