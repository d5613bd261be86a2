"""Judges who changed what of a reading: only the holder of its lock keeps pages and gives the job its rows."""

from __future__ import annotations

from typing import Any

import msgspec
import redis

from ledger.codec import unpack_shard
from ledger.list_reads import MOST_CRASHES
from selection.spool import Mark
from tests.simulation.ledger_view import JobView
from tests.simulation.model_job import ModelJob

READING_MOVES = {
    "submitting": {"running", "finished", "paused", "cancelled"},
    "paused": {"submitting", "running", "finished", "cancelled"},
}
"""The states that a job may come to whose list is read, until it has its rows."""
BY_WORKER = {"worker_crash", "worker_error", "invalid_input", "state_lost"}
"""Codes for which a worker ends or pauses a reading; but for the first, no schedule gives it a reason."""


class ReadingStep:
    """What a step of `by`, the holder of the lock that its sender named ('' for none), changed until `at`."""

    def __init__(self, job: ModelJob, was: JobView, now: JobView, by: str, at: float) -> None:
        self._job = job
        self._was = was
        self._now = now
        self._by = by
        self._at = at

    def check(self, admin: redis.Redis) -> None:
        """Judge it, and let the model have the rows once they are there."""
        had, has = self._was.reading, self._now.reading
        if has.adopted and not had.adopted:
            self._check_allowed("rows were given")
            self._job.have_rows()
            self._check_rows(admin)
        elif has.pages > had.pages or has.mark != had.mark:
            self._check_allowed("a page was kept")
            self._check_page(admin)
        self._check_begun()
        self._check_opened()

    def _check_allowed(self, what: str) -> None:
        had, what = self._was.reading, f"{what} for {self._job.job_id} by {self._by or 'nobody'}"
        assert self._was.state == "submitting", f"{what}, and the job is {self._was.state}"
        holds = self._by == had.holder and had.held_until > self._at
        assert holds, f"{what}, and {had.holder or 'nobody'} has the lock until {had.held_until}, at {self._at}"

    def _check_page(self, admin: redis.Redis) -> None:
        """Each page is kept once, with the place behind it, and not for ever."""
        has = self._now.reading
        mark = msgspec.json.decode(has.mark, type=Mark)
        read = mark.cursor.read if mark.cursor else 0
        expected = min(read, len(self._job.selects or []))
        what = f"{has.pages} pages of {self._job.job_id} are kept after {read} completions"
        assert has.pages == expected == mark.matched, f"{what}, of which {mark.matched} match"
        life: Any = admin.ttl(self._job.keys.selected)
        assert life != -1, f"the pages of {self._job.job_id} would stay for ever"

    def _check_rows(self, admin: redis.Redis) -> None:
        stored: Any = admin.hgetall(self._job.keys.shards)
        shards = self._job.shards
        assert len(stored) == len(shards), f"{self._job.job_id} has {len(stored)} shards, and should {len(shards)}"
        rows = [row for number, of in enumerate(shards) for row in unpack_shard(stored[b"%d" % number], len(of))]
        found = [(row.line, row.completion_id, row.metadata) for row in rows]
        expected = [(row.line, row.completion_id, row.metadata) for row in self._job.patches]
        assert found == expected, f"{self._job.job_id} has the rows {found}, and should {expected}"

    def _check_begun(self) -> None:
        """Workers that died before they kept a page are counted, and there are no more of them than may be."""
        had, has, job = self._was.reading, self._now.reading, self._job
        if has.mark != had.mark or (self._was.state, self._now.state) == ("paused", "submitting"):
            job.begun = 0
        elif has.began_by and has.began_by != had.began_by:
            assert self._by == had.holder, f"{self._by} began to read for {job.job_id}, and {had.holder} has the lock"
            job.begun += 1
        elif had.began_by and not has.began_by:
            assert self._by == had.holder, f"{self._by} left {job.job_id}, and {had.holder} has the lock"
            job.begun = max(0, job.begun - 1)
        assert job.begun <= MOST_CRASHES, f"{job.begun} workers began to read for {job.job_id}, and kept no page"

    def _check_opened(self) -> None:
        """It is opened with its rows, and ended or paused by a worker for no other reason than that workers died."""
        is_open = self._now.state in {"running", "finished"}
        assert self._now.reading.adopted or not is_open, f"{self._job.job_id} is {self._now.state} without its rows"
        if self._now.code in BY_WORKER:
            is_due = self._now.code == "worker_crash" and self._job.begun >= MOST_CRASHES
            assert is_due, f"{self._job.job_id} is {self._now.state}: {self._now.code}, {self._job.begun} began to read"
