"""Judges a simulation once all jobs have ended: what takes a scan of the ledger, and what holds only then."""

from __future__ import annotations

from typing import Any

from ledger.codec import unpack_detail
from ledger.job import Mode
from ledger.keys import LASTING, TOTALS
from ledger.patching import apply_patch
from ledger.row import OUTCOMES, Outcome
from ledger.shards import IN_DOUBT_CODE
from tests.simulation.model import DONE, Model
from tests.simulation.model_job import ModelJob


class Ending:
    """What must hold at the end of a schedule."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._admin = model.admin
        self._service = model.service

    def check(self) -> None:
        """Judge the ledger: nothing is left to do, every key ends, each job is counted once."""
        self._model.look()
        for job in self._model.jobs.values():
            assert job.has_ended, f"{job.job_id} is {job.state} with the outcomes {job.outcomes.hex()}"
            self._check_cancelled(job)
            if job.undoes and job.state == "finished":
                self._check_undone(job)
        self._check_completions()
        self._check_lives()
        self._check_totals()

    def check_undo_of(self, job: ModelJob) -> None:
        """Judge that a job could be taken back, where it wrote anything and kept what it overwrote."""
        is_undone = any(other.undoes == job.job_id for other in self._model.jobs.values())
        assert is_undone or not job.before, f"{job.job_id} wrote rows {sorted(job.before)}, and cannot be undone"

    def _check_cancelled(self, job: ModelJob) -> None:
        cancelled = [row for row in range(len(job.patches)) if job.outcome(row) is Outcome.CANCELLED]
        for row in cancelled:
            detail: Any = self._admin.hget(job.keys.details, str(row))
            is_doubted = detail is not None and unpack_detail(detail).code == IN_DOUBT_CODE
            assert is_doubted or row not in job.left, f"row {row} of {job.job_id} was written, and is cancelled unsent"

    def _check_completions(self) -> None:
        """Each completion holds what it held at first, changed by the writes that were applied and not taken back."""
        expected = {completion_id: dict(states[0]) for completion_id, states in self._service.states.items()}
        for job in self._model.jobs.values():
            for row in job.before:
                patch = job.patches[row]
                held = expected[patch.completion_id]
                expected[patch.completion_id] = apply_patch(held, patch.metadata, Mode.MERGE)
        for completion_id, metadata in expected.items():
            held = self._service.held(completion_id)
            assert held == metadata, f"{completion_id} holds {held}, and should {metadata}"

    def _check_undone(self, undo: ModelJob) -> None:
        """What the undone job wrote is gone and what it found is there again, in each row that the undo carried out."""
        undone = self._model.jobs[undo.undoes or ""]
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
            there = sum(job.outcomes.count(number) for job in self._model.jobs.values())
            assert int(totals.get(word.encode(), 0)) == there, f"the totals count other rows {word} than {there}"
