"""Judges a simulation once all jobs have ended: what takes a scan of the ledger, and what holds only then."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ledger.codec import unpack_detail, unpack_images
from ledger.job_spec import Mode
from ledger.keys import LASTING, LOST, TOTALS, JobKeys
from ledger.patching import apply_patch
from ledger.row import OUTCOMES, Outcome
from ledger.row_reader import ReportedRow
from ledger.series import unpack_series
from ledger.shards import IN_DOUBT_CODE
from report.archive import archived_jobs, find_rows
from report.digest import job_digest, shard_digest
from tests.simulation.model import DONE, Model
from tests.simulation.model_job import ModelJob
from tests.simulation.process import Process
from tests.simulation.service import BASE_URL


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
            self._check_series(job)
            if job.plans:
                self._check_planned(job)
            if job.selects is not None and job.state == "finished":
                assert job.patches == job.selects, f"{job.job_id} has the rows {job.patches}, and not what it selects"
            if job.undoes and job.state == "finished":
                self._check_undone(job)
        self._check_completions()
        self._check_lives()
        self._check_totals()

    def check_undo_of(self, job: ModelJob) -> None:
        """Judge that a job could be taken back, where it wrote anything and kept what it overwrote."""
        assert self._model.is_undone(job) or not job.before, (
            f"{job.job_id} wrote rows {sorted(job.before)}, and cannot be undone"
        )

    def check_losses(self, workers: Iterable[Process]) -> None:
        """Judge what is said of jobs that Redis lost: each that somebody remembered is known as lost, once."""
        expected = {job_id for process in workers for job_id in process.remembered & self._model.lost.keys()}
        stones: Any = {job_id: self._admin.exists(JobKeys(job_id).tombstone) for job_id in self._model.known}
        there = {job_id for job_id, number in stones.items() if number}
        assert expected <= there, f"{sorted(expected - there)} are lost, and are not known as lost"
        assert there <= self._model.lost.keys(), f"{sorted(there)} are known as lost, and are not"
        listed: Any = self._admin.zrange(LOST, 0, -1)
        assert {f"job:{job_id}".encode() for job_id in there} == set(listed), f"listed as lost are {listed}"
        totals: Any = self._admin.hgetall(TOTALS)
        counted = int(totals.get(b"jobs:lost", 0))
        assert counted == len(there), f"{counted} jobs count as lost, and {sorted(there)} are"
        is_seen = b"ledger:reset_at" in totals
        assert is_seen == bool(expected) or (is_seen and self._model.lost_at is not None), "a ledger that was not reset"

    def check_archive(self, folder: Path) -> None:
        """Judge the archived reports: each job that ended while a folder was known has one, with all its rows."""
        archived = set(archived_jobs(folder))
        if self._model.lost_at is None:
            missing = self._model.jobs.keys() - archived
            assert not missing, f"{sorted(missing)} have ended, and are not archived"
        for job in self._model.jobs.values():
            for patch in job.patches if job.job_id in archived else []:
                rows = find_rows(folder, job.job_id, patch.completion_id)
                assert len(rows) == 1, (
                    f"the archived report of {job.job_id} has {patch.completion_id} {len(rows)} times"
                )

    def _check_planned(self, job: ModelJob) -> None:
        """A plan shows what a completion once held; one that has finished is counted whole, and has its digest."""
        rows = self._rows_of_plan(job)
        planned = [row for row in rows if row.outcome is Outcome.WOULD_CHANGE]
        for row in planned:
            held = self._service.states[row.patch.completion_id]
            assert row.before in held, f"{job.job_id} planned {row.before} for what only held {held}"
        counted: Any = self._admin.hgetall(job.keys.changes)
        digests: Any = self._admin.hgetall(job.keys.digests)
        changes = sum(int(number) for field, number in counted.items() if field[:1] == b"=")
        digested = sum(len(job.shards[int(number)]) for number in digests)
        assert changes <= min(len(planned), digested), f"{job.job_id} counts {changes} changes, and has {len(planned)}"
        if job.state == "finished":
            assert changes == len(planned), f"{job.job_id} has finished, and counts {changes} of {len(planned)} changes"
            shards = [shard_digest([rows[row] for row in shard], Mode.MERGE) for shard in job.shards]
            kept: Any = self._admin.hget(job.keys.job, "digest")
            expected = job_digest(BASE_URL, Mode.MERGE, shards)
            # a plan without a row is finished as it is opened; there is nothing in it to approve or to apply
            assert not shards or (kept or b"").decode() == expected, f"{job.job_id} has digest {kept}"

    def _rows_of_plan(self, job: ModelJob) -> list[ReportedRow]:
        rows = []
        for number, shard in enumerate(job.shards):
            closed: Any = self._admin.hget(job.keys.journals, str(number))
            images = unpack_images(closed or b"", len(shard))
            for place, row in enumerate(shard):
                before = images[place].metadata if place in images else None
                rows.append(ReportedRow(job.patches[row], job.outcome(row), None, before))
        return rows

    def _check_cancelled(self, job: ModelJob) -> None:
        cancelled = [row for row in range(len(job.patches)) if job.outcome(row) is Outcome.CANCELLED]
        for row in cancelled:
            detail: Any = self._admin.hget(job.keys.details, str(row))
            is_doubted = detail is not None and unpack_detail(detail).code == IN_DOUBT_CODE
            assert is_doubted or row not in job.left, f"row {row} of {job.job_id} was written, and is cancelled unsent"

    def _check_series(self, job: ModelJob) -> None:
        """The points of a job sum up to the rows that ended otherwise than by its cancellation, and to its requests."""
        stored: Any = self._admin.get(job.keys.series)
        series = unpack_series(stored)
        assert series is not None, f"{job.job_id} has no series"
        times = [point.at for point in series.points]
        assert times == sorted(set(times)), f"the points of {job.job_id} are not in order: {times}"
        ended = sum(job.outcome(row) is not Outcome.CANCELLED for row in range(len(job.patches)))
        counts: Any = self._admin.hgetall(job.keys.counts)
        expected = [ended, *(int(counts.get(name, 0)) for name in (b"requests", b"throttled"))]
        sums = [sum(point[part] for point in series.points) for part in (1, 2, 3)]
        assert sums == expected, f"the series of {job.job_id} sums up to {sums}, and it has {expected}"

    def _check_completions(self) -> None:
        """Each completion holds what it held at first, changed by the writes that were applied and not taken back."""
        expected = {completion_id: dict(states[0]) for completion_id, states in self._service.states.items()}
        for job in self._model.known.values():
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
