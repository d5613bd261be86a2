"""Archived reports: one compressed file of JSON lines a job, which outlives the job in the ledger.

The first line is the job (`relabel.job`); each other line is that of a report as JSONL, with what the row changed
(`relabel.change`).
"""

from __future__ import annotations

import contextlib
import gzip
import re
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from config.text import escaped_json
from ledger.job import Job
from ledger.ledger import Ledger
from ledger.row_reader import ReportedRow
from report.as_jsonl import JsonlReport
from report.changes import ChangingJob, RowChange, changing_job, row_change
from report.folder import Folder, open_folder
from report.lines import write_lines
from report.rows import WORDS, laid_out, report_rows, row_status, status_fields
from report.whole_file import whole_file_in

ENDING = ".jsonl.gz"
_ARCHIVE = re.compile(r"[0-9A-Za-z-]+\.jsonl\.gz")
_UNFINISHED = re.compile(r"\.relabel-[0-9a-f]{16}\.part")
UNFINISHED_KEEP_S = 86_400.0
"""Age at which a file that nobody finished is removed: its writer was killed."""
_LEVEL = 3  # measured on a report of 500 rows: level 6 saves 8 % and takes twice the time
_BLOCK = 1 << 20
_LONGEST_HEAD = 1 << 20

_encode = msgspec.json.Encoder().encode


class _JobLine(msgspec.Struct):
    job: ChangingJob


class _RowLine(msgspec.Struct):
    change: RowChange


class _Head(msgspec.Struct):
    relabel: _JobLine


class _Row(msgspec.Struct):
    relabel: _RowLine


_head = msgspec.json.Decoder(_Head).decode
_row = msgspec.json.Decoder(_Row).decode


async def write_archive(ledger: Ledger, job: Job, path: Path) -> None:
    """Write the report of an ended job into a folder, readable by its owner alone; it is there whole or not at all.

    Raises:
        OSError: the folder cannot be used.
        StateLost: some of the rows are gone from Redis.

    """
    with open_folder(path) as folder, whole_file_in(folder, job.spec.job_id + ENDING) as write:
        packer = zlib.compressobj(_LEVEL, wbits=zlib.MAX_WBITS | 16)
        await write_lines(_lines(ledger, job), lambda content: write(packer.compress(content)))
        write(packer.flush())


def prune(path: Path, *, keep_s: float) -> int:
    """Remove archived reports older than so many seconds, and what was never finished; return how many files.

    Raises:
        OSError: the folder cannot be used.

    """
    removed = 0
    with open_folder(path) as folder:
        for name in folder.names():
            longest = keep_s if _ARCHIVE.fullmatch(name) else UNFINISHED_KEEP_S if _UNFINISHED.fullmatch(name) else None
            if longest is not None and _age_s(folder, name) > longest:
                with contextlib.suppress(FileNotFoundError):
                    folder.remove(name)
                removed += 1
    return removed


def archived_jobs(path: Path) -> list[str]:
    """Return the ids of the jobs whose report is in a folder.

    Raises:
        OSError: the folder cannot be read.

    """
    with open_folder(path) as folder:
        return sorted(name.removesuffix(ENDING) for name in folder.names() if _ARCHIVE.fullmatch(name))


def archive_of(path: Path, job_id: str) -> Path | None:
    """Return the archived report of a job in a folder; None where there is none."""
    name = job_id + ENDING
    return path / name if _ARCHIVE.fullmatch(name) and (path / name).is_file() else None


def find_rows(path: Path, job_id: str, completion_id: str) -> list[tuple[ChangingJob, RowChange]]:
    """Return the rows of a completion in the archived report of a job, each with the job.

    Raises:
        OSError: it cannot be read, or is damaged.

    """
    try:
        with gzip.open(path / (job_id + ENDING)) as file:
            job = _head(file.readline(_LONGEST_HEAD)).relabel.job
            needle = escaped_json(_encode(completion_id))
            rows = [_row(line).relabel.change for line in _lines_with(file, needle)]
    except (EOFError, zlib.error, msgspec.DecodeError) as error:
        raise OSError(None, "it is damaged", str(path / (job_id + ENDING))) from error
    return [(job, row) for row in rows if row.completion_id == completion_id]


def _lines_with(file: gzip.GzipFile, needle: bytes) -> Iterator[bytes]:
    """Yield the lines that hold a word of JSON and are those of rows; what does not hold it is never decoded."""
    rest = b""
    while block := file.read(_BLOCK):
        end = (block := rest + block).rfind(b"\n") + 1
        if needle in block:
            yield from (line for line in block[:end].split(b"\n") if needle in line and b'"change":' in line)
        rest = block[end:]


async def _lines(ledger: Ledger, job: Job) -> AsyncIterator[bytes]:
    layout = JsonlReport(job.spec.columns, status_fields(job.spec))
    yield _line({"relabel": {"job": changing_job(job), "state": job.state, "rows": job.counts, "at": job.finished_at}})
    async for row in report_rows(ledger, job.spec, frozenset(WORDS)):
        if isinstance(row, ReportedRow):
            status = row_status(row, job.spec)
            said = {field: getattr(status, field) for field in status_fields(job.spec)}
            said |= {"change": row_change(job.spec, row)}
            named = {job.spec.columns.id_column: row.patch.completion_id, "metadata": row.patch.metadata}
            yield _line(named | {"relabel": said})
        else:
            yield laid_out(row, layout, job.spec)


def _line(value: object) -> bytes:
    return escaped_json(_encode(value)) + b"\n"


def _age_s(folder: Folder, name: str) -> float:
    found = folder.stat(name)
    return time.time() - found.st_mtime if found else 0.0
