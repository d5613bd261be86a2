"""What people do to jobs while workers work: the use cases of the product, in a process of their own."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from config.canary import CanaryShare
from config.settings import Settings
from ledger.approval import NO_APPROVAL, ApprovalRule
from ledger.connect import AWAY
from ledger.errors import JobIdTaken, NeedsApproval, NoSuchJob, StateLost
from ledger.job_spec import Columns, Kind, Mode
from ledger.row import Patch
from producer.check import check_made
from producer.checked import Checked
from producer.selected import create_selected
from producer.submit import JobRequest, submit
from relabel import control
from relabel.derived import DerivedOptions, prepare_undo
from relabel.errors import InvalidInput, WrongState
from relabel.session import Session
from tests.simulation.authority import SUBMITTER
from tests.simulation.listing import LIST, LISTED
from tests.simulation.model import Model
from tests.simulation.model_job import ModelJob
from tests.simulation.process import Process
from tests.simulation.service import BASE_URL

KEEP_S = 30 * 86_400.0
"""Life of an ended job: longer than a schedule takes."""
SETTINGS = Settings(_env_file=None, OPENAI_BASE_URL=BASE_URL)
_patches = msgspec.msgpack.Decoder(list[Patch])


class Share(CanaryShare):
    """A canary of just so many rows: the jobs of a simulation are smaller than the least canary."""

    def rows_of(self, total: int) -> int:
        """Return the rows of the canary."""
        return min(int(self.most), total)


class Person:
    """Submits, pauses, resumes, approves, cancels and undoes jobs. `watch` is told of each job before it is stored."""

    def __init__(self, process: Process, model: Model, announce: Callable[[str, int], None]) -> None:
        self.process = process
        self._model = model
        self._announce = announce
        self._submitted = 0
        self.undoing = Counter[str]()
        """Jobs of which an undo is being prepared, and how many."""
        self._session = Session(process.ledger, SETTINGS, SUBMITTER)

    def plans(self, patches: list[Patch], *, shard_rows: int) -> str:
        """Submit a plan of these patches and return its id."""
        job_id = self._new_id()
        self._model.add(ModelJob(job_id, patches, shard_rows, journal=True, plans=True))
        self.process.start(self._if_possible(self._plan(job_id, patches, shard_rows)))
        return job_id

    def selects(self, rows: int, *, shard_rows: int) -> str:
        """Submit a plan of the first so many completions of the list, which workers are to read; return its id."""
        job_id, key = self._new_id(), "planned"
        selected = [Patch(row + 1, each, {key: "new"}) for row, each in enumerate(LISTED[:rows])]
        self._model.add(ModelJob(job_id, [], shard_rows, journal=True, plans=True, selects=selected))
        self.process.start(self._if_possible(self._select(job_id, rows, key, shard_rows)))
        return job_id

    def submits(
        self,
        patches: list[Patch],
        *,
        shard_rows: int,
        journal: bool,
        canary: int = 0,
        needs_approval: bool = False,
    ) -> str:
        """Submit a job of these patches and return its id."""
        job_id, share = self._new_id(), Share(canary, is_share=False) if canary else None
        job = ModelJob(
            job_id, patches, shard_rows, journal, canary=min(canary, len(patches)), needs_approval=needs_approval
        )
        self._model.add(job)
        self.process.start(self._if_possible(self._submit(job, patches, canary=share)))
        return job_id

    def pauses(self, job_id: str) -> None:
        """Pause a job, if it runs."""
        self.process.start(self._if_possible(control.pause(self._session, job_id)))

    def resumes(self, job_id: str) -> None:
        """Let a job go on, if it is paused."""
        self.process.start(self._if_possible(control.resume(self._session, job_id)))

    def approves(self, job_id: str, *, by: str, digest: str | None = None) -> None:
        """Approve a job, for what it does unless a digest is given, if it needs that."""
        self.process.start(self._if_possible(self._approve(job_id, by, digest)))

    def cancels(self, job_id: str) -> None:
        """End a job, if it has not ended."""
        self.process.start(self._if_possible(control.cancel(self._session, job_id)))

    def undoes(self, job_id: str) -> None:
        """Take a job back, if it neither runs nor has rows in flight."""
        self.undoing[job_id] += 1
        self.process.start(self._if_possible(self._undo(job_id)))

    def searches(self, completion_id: str) -> None:
        """Search the jobs for the rows of a completion."""
        self.process.start(self._if_possible(self._search(completion_id)))

    async def _search(self, completion_id: str) -> None:
        opened = [job for job in self._model.jobs.values() if job.state not in {"", "submitting"}]
        found = await self.process.ledger.row_indexes.search(completion_id)
        for job in opened:
            rows = [row for row, patch in enumerate(job.patches) if patch.completion_id == completion_id]
            expected = rows if job.selects is None else None  # as in the product, no index of it is kept
            is_there = job.job_id not in self._model.jobs or found.get(job.job_id) == expected
            assert is_there, f"{job.job_id} has {completion_id} in rows {rows}, and found were {found}"

    async def _submit(self, job: ModelJob, patches: list[Patch], *, canary: CanaryShare | None) -> None:
        columns = Columns("csv", "completion_id", ["completion_id"])
        request = JobRequest(
            "simulated",
            Mode.MERGE,
            job.journal,
            BASE_URL,
            job.shard_rows,
            KEEP_S,
            by=SUBMITTER,
            again=True,
            canary=canary,
            exact=job.journal and any(patch.expect for patch in patches),  # as the apply of a plan is
            approval=ApprovalRule(0) if job.needs_approval else NO_APPROVAL,
        )
        with await check_made(_each(patches), columns=columns, mode=Mode.MERGE, spool_dir=_spool()) as checked:
            await self._store(job.job_id, checked, request)

    async def _approve(self, job_id: str, by: str, digest: str | None) -> None:
        # as the use case does, which asks nothing of the ledger where it knows the answer
        approval = (await self.process.ledger.jobs.get(job_id)).approval
        if approval is not None:
            await self.process.ledger.approvals.approve(job_id, digest or approval.digest, by=by)

    async def _plan(self, job_id: str, patches: list[Patch], shard_rows: int) -> None:
        columns = Columns("csv", "completion_id", ["completion_id"])
        request = _plan_request(shard_rows)
        with await check_made(_each(patches), columns=columns, mode=Mode.MERGE, spool_dir=_spool()) as checked:
            await self._store(job_id, checked, request)

    async def _select(self, job_id: str, rows: int, key: str, shard_rows: int) -> None:
        # as `relabel.plan_selection` does, which sends its message by way of Celery
        asked = {"set": {key: "new"}} | ({"limit": rows} if rows else {"where": 'metadata.team == "none"'})
        request = _plan_request(shard_rows)._replace(job_id=job_id, by=SUBMITTER)
        packed = msgspec.json.encode(asked)
        await create_selected(request, packed, keys=[key], oldest_first=False, ledger=self.process.ledger)
        self._announce(job_id, LIST)

    async def _undo(self, job_id: str) -> None:
        try:
            prepared = await prepare_undo(self._session, job_id, DerivedOptions(again=True))
        finally:
            self.undoing[job_id] -= 1
        with prepared.checked as checked:
            request = prepared.request._replace(shard_rows=2, keep_s=KEEP_S)
            undo_id = self._new_id()
            patches = [patch for shard in checked.shards(request.shard_rows) for patch in _patches.decode(shard.body)]
            self._model.add(ModelJob(undo_id, patches, request.shard_rows, journal=True, undoes=job_id))
            await self._store(undo_id, checked, request)

    async def _store(self, job_id: str, checked: Checked, request: JobRequest) -> None:
        def announce(job_id: str, shards: object) -> None:
            for number in shards:  # type: ignore[attr-defined]
                self._announce(job_id, number)

        await submit(checked, request, ledger=self.process.ledger, announce=announce, new_id=lambda: job_id)

    async def _if_possible(self, step: object) -> None:
        try:
            await step  # type: ignore[misc]
        except (WrongState, InvalidInput, NeedsApproval, NoSuchJob, JobIdTaken, StateLost, *AWAY):
            return

    def _new_id(self) -> str:
        self._submitted += 1
        return f"job{self._submitted}"


def _plan_request(shard_rows: int) -> JobRequest:
    return JobRequest("simulated", Mode.MERGE, True, BASE_URL, shard_rows, KEEP_S, again=True, kind=Kind.PLAN)


async def _each(patches: list[Patch]) -> AsyncIterator[Patch]:
    for patch in patches:
        yield patch


def _spool() -> Path:
    return Path(tempfile.gettempdir())
