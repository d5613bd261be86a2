"""Checks a file and submits it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from config.input_options import NO_OPTIONS, InputOptions
from config.settings import Settings
from ledger.job import LOST_REASON, Job, JobState
from ledger.job_spec import Mode, Priority
from producer import submit as producer
from producer.check_files import check_files
from producer.checked import Checked
from producer.find_files import STDIN, FoundFile, find_files, input_name
from producer.submit import JobRequest, Submitted
from relabel.errors import InvalidInput
from relabel.explain import WAITING_FOR_USER, standing
from relabel.session import Session


class FileOptions(NamedTuple):
    """The files of an input, how they are read, and what to do with them.

    `files` are paths of files and folders, and patterns; `-` alone is standard input. `rate` is in
    requests a minute; `undo` keeps what was there before. `oldest_first` takes the completions first that expire first.
    """

    files: tuple[str, ...]
    mode: Mode = Mode.MERGE
    rate: float | None = None
    max_failures: str | None = None
    priority: Priority = Priority.NORMAL
    name: str | None = None
    undo: bool = True
    strict: bool = False
    again: bool = False
    oldest_first: bool = False
    reading: InputOptions = NO_OPTIONS


def check_file(options: FileOptions, settings: Settings, *, stdin: BinaryIO) -> Checked:
    """Read and check the files whole, and return them as one for submission; the caller closes it. `-` reads `stdin`.

    Raises:
        UnreadableFile: a file cannot be trusted, or they do not belong together.

    """
    files = find_files(options.files, any_name=options.reading.layout is not None)
    return check_opened(options, settings, files, stdin=stdin)


def check_opened(
    options: FileOptions, settings: Settings, files: Sequence[FoundFile], *, stdin: BinaryIO | None = None
) -> Checked:
    """Read and check files that were found or opened before; otherwise as `check_file`."""
    return check_files(
        files,
        mode=options.mode,
        options=options.reading,
        limits=producer.limits_of(settings),
        # the files have no names, so they need no folder of their own, which a killed command would leave behind
        spool_dir=Path(tempfile.gettempdir()),
        stdin=stdin,
        oldest_first=options.oldest_first,
    )


def check_rows(stream: BinaryIO, options: FileOptions, settings: Settings) -> Checked:
    """Read and check JSON Lines that a program makes as they are read; otherwise as `check_file`."""
    reading = InputOptions(layout="jsonl", null=options.reading.null, stringify=options.reading.stringify)
    return check_opened(options._replace(reading=reading), settings, [FoundFile(STDIN, "the rows")], stdin=stream)


def require_valid_rows(checked: Checked, options: FileOptions) -> None:
    """Raise where no row of the file is valid, or with `--strict` where one is not.

    Raises:
        UnreadableFile: all rows are rejected.
        InvalidInput: some rows are rejected.

    """
    checked.require_valid_row(input_name(options.files))
    if options.strict and checked.rejected:
        what = "1 row is" if checked.rejected == 1 else f"{checked.rejected:,} rows are"
        raise InvalidInput(f"{what} rejected, so nothing was sent (--strict); correct the file.")


def request_for(options: FileOptions, settings: Settings, *, by: str, hold: bool = False) -> JobRequest:
    """Return the request for a job of the file, for the API of the settings; `by` is who asks."""
    name = options.name or input_name(options.files)
    request = producer.request_for(settings, name, by=by, mode=options.mode, journal=options.undo)
    return request._replace(
        rate_per_minute=options.rate,
        hold=hold,
        again=options.again,
        max_failures=options.max_failures,
        priority=options.priority,
    )


async def submit(session: Session, checked: Checked, request: JobRequest) -> Submitted:
    """Store the job, open it to the workers and announce it, or find the one of the same content.

    Raises:
        RedisError: the ledger is away or full; the same call again replaces what was stored.

    """

    def announce(job_id: str, shards: Iterable[int]) -> None:
        from tasks import announce as tasks_announce  # noqa: PLC0415 - loads Celery, which a look at a job needs not
        from tasks.celery_app import make_app  # noqa: PLC0415 - as above

        tasks_announce.announce(make_app(session.settings), job_id, shards)

    return await producer.submit(checked, request, ledger=session.ledger, announce=announce)


async def former_job(session: Session, submitted: Submitted, *, what: str) -> str:
    """Return a sentence on the former job of the same content, with the next step; '' where there is none.

    `what` begins it where the former job is the one that was found again.
    """
    if submitted.existed:
        return f"{what} as job {_found_again(await session.ledger.jobs.get(submitted.job_id))}"
    if submitted.former:
        job = await session.ledger.jobs.get(submitted.former)
        return f"Job {submitted.former} of the same content {_why_not_counted(job)}, so this is a new job."
    return ""


def _found_again(job: Job) -> str:
    job_id = job.spec.job_id
    if job.state is JobState.FINISHED:
        return f"{job_id}; --again applies it once more."
    if job.state in WAITING_FOR_USER:
        return f"{job_id}, which is {standing(job)}"
    return f"{job_id}, which is {job.state}; `relabel watch {job_id}` follows it."


def _why_not_counted(job: Job) -> str:
    """Return why a former job does not count (`ledger.fingerprints.counts_as_submitted`)."""
    if job.state is JobState.LOST:
        return f"is lost ({LOST_REASON})"
    return "was cancelled" if job.state is JobState.CANCELLED else "ended without one row updated or unchanged"
