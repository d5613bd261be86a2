"""A worker's turn at a job of a selection: it reads pages of the list, and gives the job its rows once all are read.

What is read is kept in the ledger page by page, so that a worker that dies or ends leaves its work to the next one.
"""

from __future__ import annotations

import asyncio
import enum
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from completions.errors import Refusal
from config.settings import Settings
from ledger.cancellation import is_cancelled, until_first
from ledger.codec import pack_page, unpack_page
from ledger.connect import AWAY
from ledger.job import Job
from ledger.job_spec import Mode
from ledger.ledger import Ledger
from ledger.list_reads import ListRead, Reading
from ledger.lock import Lock
from ledger.row import Patch
from producer.check import check_made
from producer.selected import give_rows
from selection.chosen import chosen
from selection.collect import collect, found_so_far
from selection.completion import Completion
from selection.list_access import open_list_of, said
from selection.options import options_of
from selection.selection import read_selection
from selection.spool import Mark

TURN_S = 15.0
"""Length of a turn: then rows of other jobs may come first."""
LOOK_EVERY_S = 1.0
"""How often a reader records how far it is, and finds out whether the job was paused or cancelled."""
AWAY_S = 60.0
"""Time that Redis may be away or full before a turn ends; another one follows once it is back."""
NOTHING_MATCHED_CODE = "nothing_matched"
"""The reason code of a plan that is finished as its selection matched nothing."""
TOO_MANY_ROWS_CODE = "too_many_rows"
"""The reason code of a plan that was ended as its selection matched more than a job may have."""

_encode_mark = msgspec.json.Encoder().encode
_decode_mark = msgspec.json.Decoder(Mark).decode


OpenList = Callable[..., AbstractAsyncContextManager[Any]]
"""Opens the list of completions, as `selection.list_access.open_list_of` does."""


class TooManyRows(Exception):
    """More completions match than a job may have rows; `most` is how many it may have."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most


class TurnEnd(enum.Enum):
    """What a turn comes to: the list is to be read on, or the job has its rows and was opened."""

    READ_ON = enum.auto()
    OPENED = enum.auto()


class Surroundings(NamedTuple):
    """What a turn needs. `worker` is who reads, `stopping` tells whether it is ending."""

    ledger: Ledger
    settings: Settings
    worker: str
    stopping: Callable[[], bool]
    turn_s: float = TURN_S
    open_list: OpenList = open_list_of


class ListTurn:
    """One turn, of the worker that has the lock. `mark` is where the selection stands, `began` when it began."""

    def __init__(self, job: Job, reading: Reading, lock: Lock, around: Surroundings) -> None:
        self._job_id = job.spec.job_id
        self._job = job
        self._pages = reading.pages
        self._adopted = reading.adopted
        self._lock = lock
        self._around = around
        self._waits_for = ""
        self.mark = Mark() if reading.mark is None else _decode_mark(reading.mark)
        self.began = job.submitted_at
        asked = msgspec.json.decode(reading.asked, type=dict[str, Any])
        self._selection = read_selection(options_of(asked), now=self.began)

    async def take(self) -> TurnEnd:
        """Read until the turn is over or all is read; then store the rows, and let workers see them.

        Raises:
            Refusal: the API cannot be used, or a page cannot be read.
            LeaseLost: the job was paused or cancelled, or another worker reads.
            TooManyRows: more match than a job may have rows.
            StateLost: what was kept is damaged.

        """
        if not self._adopted:
            if not self.mark.complete:
                await self._while_wanted(self._read())
            if not self.mark.complete:
                return TurnEnd.READ_ON
            await self._store()
        await self._open()
        return TurnEnd.OPENED

    async def _while_wanted(self, reading: Any) -> None:
        """Carry out a reading, as long as the job is to be read and the worker is not ending."""
        await until_first([asyncio.create_task(reading), asyncio.create_task(self._look())])

    async def _look(self) -> None:
        """Record how far it is until the worker is ending; raise LeaseLost where the job is not to be read any more."""
        while not (self._around.stopping() or is_cancelled()):
            await asyncio.sleep(LOOK_EVERY_S)
            with suppress(*AWAY):
                await self._around.ledger.list_reads.note(self._job_id, self._lock, self._found())

    async def _read(self) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + self._around.turn_s
        most = self._around.settings.input.max_rows
        async with (
            self._around.open_list(
                self._selection,
                self._around.settings,
                self._around.ledger,
                cursor=self.mark.cursor,
                on_wait=self._wait_for,
                away_s=AWAY_S,
            ) as reader,
            aclosing(collect(reader, self._selection, self.mark)) as found,
        ):
            async for taken, mark in found:
                await self._keep(taken, mark)
                if mark.matched > most:
                    raise TooManyRows(most)
                if clock() > until:
                    return

    def _wait_for(self, refusal: Refusal) -> None:
        self._waits_for = said(refusal)

    async def _keep(self, taken: list[Completion], mark: Mark) -> None:
        self.mark, self._waits_for = mark, ""
        page = pack_page([self._selection.patch_of(each, line=0) for each in taken]) if taken else b""
        packed, reads = _encode_mark(mark), self._around.ledger.list_reads
        await reads.keep(self._job_id, self._lock, self._found(), mark=packed, page=page, pages=self._pages)
        self._pages += bool(taken)

    def _found(self) -> ListRead:
        found = found_so_far(self._selection, self)
        return ListRead(
            read=found.read,
            matched=found.matched,
            left_out=dict(found.left_out),
            requests=found.requests,
            seconds=round(found.seconds, 3),
            share=None if found.share is None else round(found.share, 4),
            doubts=list(found.doubts),
            waits_for=self._waits_for,
        )

    async def _store(self) -> None:
        """Store the rows of the job."""
        spec = self._job.spec
        with await check_made(
            self._patches(),
            columns=spec.columns,
            mode=Mode.MERGE,
            spool_dir=Path(tempfile.gettempdir()),
            oldest_first=spec.oldest_first,
        ) as checked:
            await give_rows(checked, spec, self._lock, self._around.ledger)

    async def _patches(self) -> AsyncIterator[Patch]:
        line = 0
        async for patch in chosen(self._selection, self._stored, lambda patch: patch.completion_id):
            line += 1
            yield msgspec.structs.replace(patch, line=line)

    async def _stored(self) -> AsyncIterator[Patch]:
        async for page in self._around.ledger.list_reads.pages(self._job_id):
            for patch in unpack_page(page):
                yield patch

    async def _open(self) -> None:
        ledger, found = self._around.ledger, self.mark
        read = found.cursor.read if found.cursor else 0
        why = f"{read:,} completions read, {found.matched:,} match"
        await ledger.audit.note(self._job_id, who=self._around.worker, verb="read", why=why)
        reason = f"nothing in the list of completions matches what is selected ({read:,} read)"
        why_empty = ("", "") if found.matched else (NOTHING_MATCHED_CODE, reason)
        await ledger.job_store.open(self._job_id, why_empty=why_empty)


async def list_turn(job_id: str, lock: Lock, around: Surroundings) -> ListTurn | None:
    """Return the turn of whoever has the lock; None where there is nothing to read.

    Raises:
        ReaderCrashed: workers died at it time and again.
        BadSelection: what was asked for makes no selection, to this release.

    """
    reading = await around.ledger.list_reads.begin(job_id, lock)
    return None if reading is None else ListTurn(await around.ledger.jobs.get(job_id), reading, lock, around)
