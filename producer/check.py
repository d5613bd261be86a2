"""Reads and checks the whole input before anything is stored or sent, and cuts the valid rows into shards."""

from __future__ import annotations

from array import array
from collections import Counter
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec.structs import replace

from config.input_options import NO_OPTIONS, InputOptions
from ledger.input_files import place_of
from ledger.job_spec import Mode
from ledger.row import Patch, Rejection, UnsentRow
from producer.checked import Checked, OddIds
from producer.csv_header import lay_out
from producer.csv_rows import CsvRows
from producer.errors import BadRow
from producer.jsonl_rows import JsonlRows
from producer.notices import about_cut, about_keys, about_values
from producer.oldest_first import creation_key, oldest_first
from producer.profile import Profiler, Reading
from producer.rules import is_usual_id
from producer.staging import Folded, RowsByLine, Spool, contradicts, fingerprint_of, fold

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from ledger.job_spec import Columns
    from producer.source import Source

_SAMPLES = 3
_TOGETHER = 64  # rows; few enough to be in the processor's cache still

_encode = msgspec.msgpack.Encoder().encode


class Rows(Protocol):
    """Rows to check, in order, with the columns they came in; `columns` is asked for after the last row."""

    def __iter__(self) -> Iterator[Patch | Rejection]: ...

    @property
    def columns(self) -> Columns:
        """The columns, from which a report writes the same ones."""


def check(source: Source, *, mode: Mode, options: InputOptions = NO_OPTIONS, spool_dir: Path) -> Checked:
    """Read the whole source, check every row and fold duplicate ids.

    Rows are staged in temporary files in `spool_dir`.

    Raises:
        UnreadableFile: the source cannot be trusted as a whole, or has no rows.

    """
    with ExitStack() as stack:
        intake = Intake(stack, spool_dir, mode)
        rows = intake.read(source, options)
        if not intake.rows:
            raise source.fault("there are no rows below the header; add at least one")
        return intake.checked(rows.columns, rows.reading)


def rows_of(source: Source, options: InputOptions) -> CsvRows | JsonlRows:
    """Return the rows of a source, not checked against each other.

    Raises:
        UnreadableFile: the source cannot be trusted as a whole.

    """
    return (CsvRows if source.format == "csv" else JsonlRows)(source, options)


def check_rows(rows: Rows, *, mode: Mode, spool_dir: Path, oldest_first: bool = False) -> Checked:
    """Check rows that do not come from a file; otherwise as `check`."""
    with ExitStack() as stack:
        intake, iterator = Intake(stack, spool_dir, mode, oldest_first=oldest_first), iter(rows)
        while batch := list(islice(iterator, _TOGETHER)):
            intake.add(batch)
        return intake.checked(rows.columns)


async def check_made(
    patches: AsyncIterator[Patch], *, columns: Columns, mode: Mode, spool_dir: Path, oldest_first: bool = False
) -> Checked:
    """Check patches that are derived from the rows of another job, or selected; otherwise as `check`."""
    with ExitStack() as stack:
        intake, batch = Intake(stack, spool_dir, mode, oldest_first=oldest_first), list[Patch]()
        async for patch in patches:
            batch.append(patch)
            if len(batch) == _TOGETHER:
                intake.add(batch)
                batch = []
        intake.add(batch)
        return intake.checked(columns)


class Intake:
    """Stages rows, some at a time. The temporary files belong to `stack` until `checked` passes them on.

    `rows` and `lines` are those of the sources that were read so far. With `oldest_first` the patches are put in the
    order of their completions' age once all are there.
    """

    def __init__(self, stack: ExitStack, spool_dir: Path, mode: Mode, *, oldest_first: bool = False) -> None:
        self.rows = self.lines = self._size = 0
        self._cut = list[str]()
        self._stack = stack
        self._mode = mode
        self._patches = stack.enter_context(Spool(spool_dir))
        self._rejected = stack.enter_context(RowsByLine(spool_dir, Rejection))
        self._unsent = stack.enter_context(RowsByLine(spool_dir, UnsentRow))
        self._hashes = array("q")
        self._ages = array("I") if oldest_first else None
        self._folded = self._conflicting = self._cleared = self._seen = 0
        self._odd, self._odd_lines = 0, list[int]()
        self._faults = Counter[str | None]()  # rejected rows by the column that is to blame
        self._profiler = Profiler()

    def read(self, source: Source, options: InputOptions) -> CsvRows | JsonlRows:
        """Stage all rows of a source, their lines numbered on from those of the sources before; return its rows."""
        rows, before, most = rows_of(source, options), self.lines, source.limits.rows
        iterator = iter(rows)
        while batch := list(islice(iterator, min(_TOGETHER, most - self.rows + 1))):
            self.rows += len(batch)
            if self.rows > most:
                raise source.too_large(batch[-1].line)
            self.add([replace(row, line=row.line + before) for row in batch] if before else batch)
        self.lines += source.number
        if source.lacks_line_end:
            self._cut.append(source.name)
        self._size += source.offset
        if self._size > source.limits.size:
            raise source.too_large(source.number)
        return rows

    def add(self, rows: Sequence[Patch | Rejection]) -> None:
        """Stage the next rows."""
        sent = [row for row in rows if isinstance(row, Patch) and (row.metadata or self._mode is Mode.REPLACE)]
        if len(sent) < len(rows):
            self._keep_unsent(rows)
        if self._mode is Mode.REPLACE:
            self._cleared += sum(not row.metadata for row in sent)
        self._patches.extend(list(map(_encode, sent)))
        self._hashes.extend([hash(row.completion_id) for row in sent])
        if self._ages is not None:
            self._ages.extend([creation_key(row.completion_id) for row in sent])
        self._seen += sum(row.seen is not None for row in sent)
        self._profiler.add(sent)
        odd = [row.line for row in sent if not is_usual_id(row.completion_id)]
        self._odd += len(odd)
        self._odd_lines += odd[: _SAMPLES - len(self._odd_lines)]

    def _keep_unsent(self, rows: Sequence[Patch | Rejection]) -> None:
        """Keep those of the rows that are rejected, or change nothing."""
        for row in rows:
            if isinstance(row, Rejection):
                self._rejected.add(row)
                self._faults[row.column] += 1
            elif not row.metadata and self._mode is Mode.MERGE:
                self._unsent.add(UnsentRow(row))

    def checked(self, columns: Columns, reading: Reading = Reading()) -> Checked:  # noqa: B008 - a constant
        """Fold duplicate ids and return the input; no row can be added after that."""
        fingerprint = fingerprint_of(self._patches, self._rejected, self._unsent)
        for row in fold(self._patches, self._hashes, self._mode):
            self._note_folded(row, columns)
        if self._ages is not None:
            self._patches.reorder(oldest_first(self._ages))
        self._stack.pop_all()
        profile = self._profiler.profile()
        notices = (*reading.notices, *about_keys(profile), *about_values(profile), *about_cut(self._cut))
        return Checked(
            columns=columns,
            folded=self._folded,
            conflicting=self._conflicting,
            cleared=self._cleared,
            seen=self._seen,
            odd_ids=OddIds(self._odd, self._odd_lines, sum(self._faults[name] for name in reading.id_names)),
            profile=profile,
            reading=reading._replace(notices=notices),
            fingerprint=fingerprint,
            patches=self._patches,
            rejected=self._rejected,
            unsent=self._unsent,
            oldest_first=self._ages is not None,
        )

    def _note_folded(self, row: Folded, columns: Columns) -> None:
        later, first, fault = row
        if fault:
            reason = f"with {place_of(first.line, columns.files)} it {fault}"
            self._rejected.add(BadRow(None, reason).rejection(later.line, lay_out(columns, later)))
            return
        self._unsent.add(UnsentRow(later, first.line))
        self._folded += 1
        self._conflicting += contradicts(later, first, self._mode)
        self._seen -= later.seen is not None and first.seen is not None
        self._cleared -= not first.metadata  # the later row has its place, and was counted by itself
