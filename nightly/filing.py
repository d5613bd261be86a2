"""File one file of the inbox away, with its report, a reason or a note beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from config.text import printable
from ledger.errors import StateLost
from ledger.job import Job, JobState, rows_lost
from ledger.ledger import Ledger
from nightly.inbox import DONE, NOTE, REASON, REJECTED, REPORT, Inbox, InboxFile
from nightly.state import FileState, NightFile
from nightly.store import Nights
from report.lines import report_lines, write_lines
from report.whole_file import Access, Write, whole_file_in

_CHANGED = "it was changed or removed after it was read; what is in the inbox now is taken the next time"


class Filing:
    """The last steps of one file. What goes beside it is written first, so that a crash leaves nothing half done."""

    def __init__(self, ledger: Ledger, inbox: Inbox, date: str, file: NightFile) -> None:
        self._ledger = ledger
        self._inbox = inbox
        self._date = date
        self._file = file

    async def reject(self, reason: str) -> None:
        """File away a file of which no job can be made."""
        reason = reason.removeprefix(f"{self._file.name}: ")
        place = await self._place(REJECTED)
        self._write(place, REASON, reason)
        await self._move(place, FileState.REJECTED, reason)

    async def note_repeated(self, job: Job | None) -> None:
        """File away a file whose content was submitted before."""
        state = f" ({job.state})" if job else ""
        reason = f"the same content was submitted before, as job {self._file.job_id}{state}, so nothing was sent"
        place = await self._place(DONE)
        self._write(place, NOTE, f"{reason}; `relabel submit FILE --again` applies it once more")
        await self._move(place, FileState.DONE, reason)

    async def finish(self, job: Job | None) -> None:
        """File away a file whose job has ended or waits for a decision; `job` is None where it is gone."""
        reason = _why_rejected(self._file, job)
        place = await self._place(REJECTED if reason else DONE)
        is_whole = job is not None and not job.waits_for_decision and job.state is not JobState.LOST
        if not is_whole or job is None or not await self._report(job, place):
            self._write(place, REASON, reason or _rows_lost(self._file))
        await self._move(place, FileState.REJECTED if reason else FileState.DONE, reason)

    async def _report(self, job: Job, place: str) -> bool:
        try:
            with self._beside(place, f"{REPORT}.{job.spec.columns.format}") as write:
                await write_lines(report_lines(self._ledger, job.spec), write)
        except StateLost:
            return False
        return True

    async def _place(self, folder: str) -> str:
        """Choose the place and store it, so that the worker which takes over after a crash uses the same."""
        if self._file.place is None:
            place = self._inbox.free_place(folder, self._file.name, self._date)
            self._file = replace(self._file, place=place)
            await Nights(self._ledger.redis).put_file(self._date, self._file)
        return self._file.place or ""

    def _write(self, place: str, ending: str, sentence: str) -> None:
        with self._beside(place, ending) as write:
            write(f"{printable(sentence).rstrip('.')}.\n".encode())

    @contextmanager
    def _beside(self, place: str, ending: str) -> Iterator[Write]:
        """Open what goes beside the file, readable to those who could read the file."""
        access = Access(self._file.mode, self._file.group)
        with self._inbox.place(place) as (folder, name), whole_file_in(folder, f"{name}{ending}", access) as write:
            yield write

    async def _move(self, place: str, state: FileState, reason: str) -> None:
        if not self._inbox.file_away(listed_file(self._file), place):
            reason = f"{reason}; {_CHANGED}" if reason else _CHANGED
        await Nights(self._ledger.redis).put_file(self._date, replace(self._file, state=state, reason=reason))


def listed_file(file: NightFile) -> InboxFile:
    """Return the file as it was listed."""
    return InboxFile(file.name, file.size, file.changed_ns, inode=file.inode)


def _rows_lost(file: NightFile) -> str:
    return rows_lost(file.job_id or "", "there is no report")


def _why_rejected(file: NightFile, job: Job | None) -> str:
    if job is None or job.state is JobState.LOST:
        return _rows_lost(file)
    if job.waits_for_decision:
        return (
            f"job {file.job_id} paused, as {job.reason}; `relabel report {file.job_id} --summary` shows the cause, "
            f"and `relabel resume {file.job_id}` continues it"
        )
    if job.state is JobState.CANCELLED:
        return f"job {file.job_id} was cancelled; the report shows which rows were done before"
    return ""
