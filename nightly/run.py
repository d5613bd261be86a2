"""Carry nightly runs on: submit the files of the inbox, and file them away when their jobs have ended."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

from msgspec.structs import replace

from config.settings import Settings
from ledger.errors import NoSuchJob
from ledger.fingerprints import counts_as_submitted
from ledger.job import Job, JobState
from ledger.job_spec import Mode, job_name
from ledger.ledger import Ledger
from nightly.digest import night_digest
from nightly.filing import Filing, listed_file
from nightly.inbox import Inbox, InboxFile
from nightly.state import FileState, Night, NightFile, NightState
from nightly.store import Nights
from notify.outbox import Outbox
from producer.check import check
from producer.checked import Checked
from producer.errors import UnreadableFile
from producer.questions import questions_about
from producer.source import open_source
from producer.submit import Announce, limits_of, request_for, submit

RETRY_FOLDER_S = 60.0
"""Time until a folder that cannot be used is tried again."""

log = logging.getLogger(__name__)


async def is_over(ledger: Ledger, job_id: str | None) -> bool:
    """Return whether nothing more will come of a job by itself, so that its file need not wait."""
    job = await find_job(ledger, job_id)
    if job is None or job.state is JobState.LOST or job.waits_for_decision:
        return True
    return job.state.ended and not job.counts.pending


async def find_job(ledger: Ledger, job_id: str | None) -> Job | None:
    """Return the job, None where it is gone."""
    try:
        return await ledger.jobs.get(job_id or "")
    except NoSuchJob:
        return None


async def has_pending_work(ledger: Ledger, inbox_id: str) -> bool:
    """Return whether a run on this inbox has something to do that no worker is doing."""
    nights = Nights(ledger.redis)
    if await nights.lock().is_held():
        return False
    held = [file for night in await nights.held() if night.inbox == inbox_id for file in night.of(FileState.HELD)]
    if any([await is_over(ledger, file.job_id) for file in held]):
        return True
    if not (open_nights := await nights.open()):
        return False
    night = open_nights[0]
    if night.inbox not in {"", inbox_id}:
        return False
    submitted = night.of(FileState.SUBMITTED)
    if night.state is NightState.WAITING or not night.inbox or night.of(FileState.TAKEN) or not submitted:
        return True
    return any([await is_over(ledger, file.job_id) for file in submitted])


class NightRun:
    """Carries open runs on as far as they can go just now; safe to repeat after a crash at any line."""

    def __init__(self, settings: Settings, ledger: Ledger, announce: Announce, *, stopping: Callable[[], bool]) -> None:
        self._settings = settings
        self._ledger = ledger
        self._nights = Nights(ledger.redis)
        self._announce = announce
        self._stopping = stopping
        self._inbox = Inbox(settings.nightly.inbox or Path())

    async def carry_on(self) -> None:
        """Carry the open runs on, unless another worker does, or this one does not have the inbox."""
        async with self._nights.lock().held() as has_lock:
            if not has_lock or not (await self._nights.open() or await self._nights.held()):
                return
            try:
                inbox_id = self._inbox.inbox_id()
                for night in await self._nights.held():
                    if night.inbox == inbox_id:
                        await self._take_step(self._finish, night)
                        await self._end(night.date)
                for night in await self._nights.open():
                    if not await self._carry_on(night, inbox_id):
                        return
            except OSError as error:
                await self._wait_for_folder(error)

    async def _wait_for_folder(self, error: OSError) -> None:
        where = error.filename or self._settings.nightly.inbox
        log.error("The nightly run cannot use %s (%s); correct that, or RELABEL_NIGHTLY__INBOX.", where, error.strerror)
        await self._nights.snooze(RETRY_FOLDER_S)

    async def _note_error(self, date: str, name: str, error: OSError) -> None:
        night = await self._nights.get(date)
        for file in night.entries if night else ():
            if file.name == name:
                reason = f"it cannot be filed away ({error.strerror}); it is tried again each minute"
                await self._nights.put_file(date, replace(file, reason=reason))

    async def _carry_on(self, night: Night, inbox_id: str) -> bool:
        """Carry one run on; return whether it has ended, so that the next one has its turn."""
        if night.inbox not in {"", inbox_id}:
            log.error(
                "The run of %s was begun on another inbox than this worker has; set RELABEL_NIGHTLY__INBOX only where "
                "the folder is the same.",
                night.date,
            )
            return False
        if not night.inbox:
            night = await self._list(night, inbox_id)
        for step in (self._submit, self._finish):
            current = await self._nights.get(night.date)
            if current and not await self._take_step(step, current):
                return False
        return await self._end(night.date)

    async def _take_step(self, step: Callable[[str, NightFile], Awaitable[None]], night: Night) -> bool:
        """Take a step with each file; return whether all had their turn before the worker is to stop."""
        for file in night.entries:
            if self._stopping():
                return False
            try:
                await step(night.date, file)
            except OSError as error:
                await self._wait_for_folder(error)
                await self._note_error(night.date, file.name, error)
        return True

    async def _list(self, night: Night, inbox_id: str) -> Night:
        now = await self._ledger.jobs.now()
        found = self._inbox.list_files(quiet_s=self._settings.nightly.quiet_s, now=now)
        held = {
            listed_file(file): (each.date, await self._left(file, now))
            for each in await self._nights.held()
            for file in each.of(FileState.HELD)
        }
        files = [
            _file(listed, now) if listed not in held else held[listed][1]
            for listed in found
            if listed not in held or held[listed][0] != night.date
        ]
        listed = replace(night, state=NightState.RUNNING, reason="", inbox=inbox_id)
        await self._nights.put(listed, files, forget=night.of(FileState.LEFT))
        taken = sum(file.state is FileState.TAKEN for file in files)
        log.info("The run of %s takes %d files and leaves %d.", night.date, taken, len(files) - taken)
        return listed

    async def _left(self, held: NightFile, now: float) -> NightFile:
        """Return the entry of a file that a run before this one holds."""
        job = await find_job(self._ledger, held.job_id)
        reason = f"it is held as job {held.job_id}{f'; {_decide(job)}' if job else ''}"
        return replace(_file(listed_file(held), now), state=FileState.LEFT, reason=reason)

    async def _submit(self, date: str, file: NightFile) -> None:
        if file.state is not FileState.TAKEN:
            return
        checked = None
        try:
            with self._inbox.opened(listed_file(file)) as stream:
                if stream is not None:
                    found = os.fstat(stream.fileno())
                    file = replace(file, mode=found.st_mode & 0o666, group=found.st_gid)
                    checked = await asyncio.to_thread(self._check, file, stream)
        except UnreadableFile as error:
            await Filing(self._ledger, self._inbox, date, file).reject(str(error))
            return
        if checked is None:
            reason = "it was changed or removed while the run began, so it may be half written"
            await self._nights.put_file(date, replace(file, state=FileState.LEFT, reason=reason))
            return
        with checked:
            await self._submit_checked(date, file, checked)

    def _check(self, file: NightFile, stream: BinaryIO) -> Checked | None:
        """Read and check the whole file; return None where it changes meanwhile."""
        listed = listed_file(file)
        try:
            options, mode = self._settings.nightly.input_options, Mode(self._settings.nightly.mode)
            limits = limits_of(self._settings)
            with open_source(file.name, opened=stream, options=options, limits=limits) as source:
                checked = check(source, mode=mode, options=options, spool_dir=Path(tempfile.gettempdir()))
        except UnreadableFile:
            if not self._inbox.is_unchanged(listed):
                return None
            raise
        if not self._inbox.is_unchanged(listed):
            checked.close()
            return None
        try:
            checked.require_valid_row(file.name)
        except UnreadableFile:
            checked.close()
            raise
        return checked

    async def _submit_checked(self, date: str, file: NightFile, checked: Checked) -> None:
        nightly = self._settings.nightly
        by = f"nightly@{socket.gethostname()}"
        request = request_for(self._settings, file.name, by=by, mode=Mode(nightly.mode))._replace(
            rate_per_minute=nightly.rate_per_minute,
            max_failures=nightly.max_failures,
            remark=f"run of {date}",
            nightly=date,
        )
        request = request._replace(questions="; ".join(question.sentence for question in questions_about(checked)))
        job_id, existed, former = await submit(checked, request, ledger=self._ledger, announce=self._announce)
        job = await find_job(self._ledger, job_id)
        # a run that is taken up again after a crash finds the job that it made itself
        named = job is not None and job.spec.name == job_name(file.name)
        own = not existed or (named and job is not None and job.submitted_at >= file.taken_at)
        held = job is not None and (job.waits_for_confirmation or job.waits_for_approval)
        state = FileState.HELD if held else FileState.SUBMITTED
        file = replace(file, state=state, job_id=job_id, own=own, reason="")
        if not own:
            await self._wait_for_former(date, file, job)
            return
        if held and job is not None:
            file = replace(file, reason=f"{job.reason}; {_decide(job)}")
        elif former:
            file = replace(file, reason=f"job {former} of the same content applied nothing, so a new job was made")
        await self._nights.put_file(date, file)
        log.info("The run of %s submitted job %s%s.", date, job_id, ", which is held" if held else "")

    async def _wait_for_former(self, date: str, file: NightFile, job: Job | None) -> None:
        """Keep a file whose content an earlier job has in the inbox until that job has ended."""
        if job is None or job.state.ended:
            await Filing(self._ledger, self._inbox, date, file).note_repeated(job)
            return
        reason = (
            f"the same content was submitted before, as job {file.job_id}, which was {job.state} then; {_next(job)}"
        )
        await self._nights.put_file(date, replace(file, reason=reason))

    async def _finish(self, date: str, file: NightFile) -> None:
        if file.state in {FileState.SUBMITTED, FileState.HELD} and await is_over(self._ledger, file.job_id):
            job = await find_job(self._ledger, file.job_id)
            filing = Filing(self._ledger, self._inbox, date, file)
            stopped = job is not None and job.waits_for_decision
            applied_before = not file.own and not stopped and job is not None and counts_as_submitted(job)
            await (filing.note_repeated(job) if applied_before else filing.finish(job))

    async def _end(self, date: str) -> bool:
        night = await self._nights.get(date)
        if night is None or night.of(FileState.TAKEN) or night.of(FileState.SUBMITTED):
            return False
        held = night.of(FileState.HELD)
        state = NightState.NEEDS_ATTENTION if held else NightState.FINISHED
        if state is not night.state:
            now = await self._ledger.jobs.now()
            outbox = Outbox(self._ledger.redis)
            if await outbox.is_served():
                jobs = [await find_job(self._ledger, file.job_id) for file in night.entries if file.own and file.job_id]
                await outbox.post(night_digest(night, [job for job in jobs if job is not None], now))
            await self._nights.put(replace(night, state=state, ended_at=now))
            said = "The run of %s has ended: %d files, %d rejected, %d held."
            log.info(said, date, night.files, night.rejected, len(held))
        return True


def _next(job: Job) -> str:
    verb = "resume" if job.state in {JobState.PAUSED, JobState.HELD} else "watch"
    return f"`relabel {verb} {job.spec.job_id}`; the file stays here until that job has ended"


def _decide(job: Job) -> str:
    job_id, then = job.spec.job_id, ", once somebody else approved it" if job.lacks_approval else ""
    yes = "approve" if job.waits_for_approval else "resume"
    return f"`relabel {yes} {job_id}` applies it{then}, `relabel cancel {job_id}` files it under rejected"


def _file(listed: InboxFile, now: float) -> NightFile:
    return NightFile(
        name=listed.name,
        state=FileState.LEFT if listed.skip_reason else FileState.TAKEN,
        size=listed.size,
        changed_ns=listed.changed_ns,
        taken_at=now,
        reason=listed.skip_reason,
        inode=listed.inode,
    )
