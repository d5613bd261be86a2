"""What a selection gives to a Python program: completions with what each is to get, to go over or to submit."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypedDict

import msgspec

from ledger.job_spec import Columns
from ledger.row import Patch
from producer.check import check_rows
from producer.csv_names import ID_COLUMNS
from relabel.input_rows import REMOVE, Row
from relabel.results import SelectionResult, result_of
from relabel.select import Selected, check_selection, select_facts, selecting, write_selected
from relabel.session import Session
from selection.options import options_of

if TYPE_CHECKING:
    from producer.checked import Checked
    from relabel.submit import FileOptions
    from selection.completion import Completion

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class SelectionArguments(TypedDict, total=False):
    """What is selected, and what each is to get: the options of `relabel select`.

    `where` is an expression, or a function of a completion (its `id`, `created`, `model`, `metadata`).
    """

    model: str
    metadata: Mapping[str, str]
    since: str
    until: str
    expiring: str
    where: str | Callable[[Completion], bool]
    limit: int
    sample: str | int
    seed: int
    set: Mapping[str, str]
    set_default: Mapping[str, str]
    unset: Collection[str]
    keys: Collection[str]
    split: str
    split_by: str


class SelectArguments(SelectionArguments, total=False):
    """What `select` takes besides: `output` is the path of a patch file to write."""

    output: str | os.PathLike[str]


class PlanSelectionArguments(SelectionArguments, total=False):
    """What the plan of a selection takes besides, as in `relabel.arguments.PlanArguments`; `where` is an expression."""

    rate: float | str
    max_failures: str | float
    priority: Literal["high", "normal", "low"]
    name: str
    oldest_first: bool


class SelectedRows:
    """The completions of a selection as pairs of an id and the metadata that it is to get; `result` counts them.

    It can be gone over again and again, and be passed to `submit` and `plan`.
    """

    def __init__(self, result: SelectionResult, file: BinaryIO) -> None:
        self.result = result
        self._file = file
        weakref.finalize(self, file.close)

    def __iter__(self) -> Iterator[Row]:
        for completion_id, metadata, _ in self._stored():
            yield completion_id, {key: REMOVE if value is None else value for key, value in metadata.items()}

    def check(self, options: FileOptions, *, seen: bool) -> Checked:
        """Return the rows as an input, to be closed; `seen`: with what the selection saw, so that a plan reads less."""
        rows = _Patches(self._stored(), seen=seen)
        spool, oldest_first = Path(tempfile.gettempdir()), options.oldest_first
        return check_rows(rows, mode=options.mode, spool_dir=spool, oldest_first=oldest_first)

    def _stored(self) -> Iterator[tuple[str, dict[str, str | None], dict[str, str] | None]]:
        at = 0
        while True:
            self._file.seek(at)
            if not (line := self._file.readline()):
                return
            at = self._file.tell()
            yield _decode(line)


class _Patches:
    """What was selected, as rows to check."""

    columns = Columns("jsonl", ID_COLUMNS[0], [])

    def __init__(
        self, stored: Iterator[tuple[str, dict[str, str | None], dict[str, str] | None]], *, seen: bool
    ) -> None:
        self._stored = stored
        self._seen = seen

    def __iter__(self) -> Iterator[Patch]:
        for line, (completion_id, metadata, seen) in enumerate(self._stored, start=1):
            yield Patch(line, completion_id, metadata, seen=seen if self._seen else None)


async def select_rows(session: Session, arguments: SelectArguments) -> SelectedRows:
    """Select completions, and keep what each is to get in a file without a name.

    Raises:
        InvalidInput: an argument cannot be used, or the file is there already.
        Unreachable: the API cannot be used; the same call goes on where this one ended.

    """
    given: dict[str, Any] = dict(arguments)
    path = given.pop("output", None)
    options, output = options_of(given), None if path is None else Path(path)
    check_selection(options, output)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the rows
    try:
        async with selecting(session, options, output=output, progress=lambda _: None) as selected:
            async for patch in selected.patches():
                file.write(_encode([patch.completion_id, patch.metadata, patch.seen]) + b"\n")
            written = Selected(selected.found) if output is None else await write_selected(selected, output)
        return SelectedRows(result_of({"object": "selection"} | select_facts(written), SelectionResult), file)
    except BaseException:
        file.close()
        raise
