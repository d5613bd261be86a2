"""Selects completions over the API's list, and writes what each of them is to get as a patch file, or hands it on.

What was found is kept in a file until the selection is done (`selection/spool.py`), so that the same call goes on with
one that was interrupted.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from config.settings import Settings
from ledger.row import Patch
from ratelimit.shared_rate import shared_limit
from relabel.errors import InvalidInput
from relabel.list_reading import read_list
from relabel.session import Session
from report.whole_file import whole_file
from selection.chosen import chosen
from selection.collect import Found, Progress, found_so_far
from selection.completion import Completion
from selection.errors import BadSelection
from selection.options import SelectOptions
from selection.patch_file import Layout, patch_file
from selection.selection import Selection, read_selection
from selection.spool import Spool, open_spool

KEEP_S = 86_400.0
"""Age up to which an interrupted selection is gone on with: what an older one saw may long have changed."""
PARTIAL = ".partial"
"""Ending of the file that holds what a selection found so far."""
_LAYOUTS: dict[str, Layout] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}


_BUFFER = 1 << 16
_TOGETHER = 500  # completions


class Selected(NamedTuple):
    """What a selection found, the rows that it wrote, and the file that they are in; None where none was written."""

    found: Found
    rows: int = 0
    output: Path | None = None


class Selecting:
    """A selection that has read what it needs: its result as lines of a file, or as patches for a job."""

    def __init__(self, selection: Selection, spool: Spool, found: Found) -> None:
        self._selection = selection
        self._spool = spool
        self.found = found

    async def lines(self, layout: Layout) -> AsyncIterator[bytes]:
        """Yield the rows of a patch file, after its header, which may be empty."""
        labels = self._selection.labels
        file = patch_file(layout, labels)
        yield file.head()
        async for completion in self._chosen():
            yield file.row(completion, labels.patch_of(completion))

    async def patches(self) -> AsyncIterator[Patch]:
        """Yield the patch of each completion, with the metadata that was seen."""
        line = 0
        async for completion in self._chosen():
            line += 1
            yield self._selection.patch_of(completion, line=line)

    def _chosen(self) -> AsyncIterator[Completion]:
        return chosen(self._selection, self._stored, lambda completion: completion.id)

    async def _stored(self) -> AsyncIterator[Completion]:
        for number, completion in enumerate(self._spool.completions()):
            if number % _TOGETHER == 0:
                await asyncio.sleep(0)  # so that Ctrl-C is noticed
            yield completion


def check_selection(options: SelectOptions, output: Path | None = None, *, for_plan: bool = False) -> Selection:
    """Return what the options select. With `for_plan` they have to change something, and not to be for editing.

    Raises:
        InvalidInput: they make no selection, or the file cannot be written: before any request.

    """
    selection = _read(options, time.time())
    labels = selection.labels
    if for_plan and labels.shown:
        raise InvalidInput("--keys writes values to be edited; write them with -o FILE, and plan the edited file.")
    if for_plan and not labels.change:
        raise InvalidInput("nothing would change; say what, with --set, --set-default, --unset or --split.")
    if output is None:
        return selection
    layout_of(output)
    if os.path.lexists(output):  # False where the name cannot be one, which is named once it is to be written
        raise InvalidInput(f"{output} is there already; choose another name, or delete it.")
    return selection


def layout_of(output: Path) -> Layout:
    """Return the format that a file's name asks for; raises InvalidInput."""
    layout = _LAYOUTS.get(output.suffix.lower())
    if layout is None:
        raise InvalidInput(f"{output}: name the file .csv or .jsonl, by which it is read again.")
    return layout


async def select(session: Session, options: SelectOptions, *, output: Path | None, progress: Progress) -> Selected:
    """Select completions, and write them to a file where one is named; none is written where no completion matches.

    Raises:
        InvalidInput: the options cannot be used, or the file cannot be written.
        Unreachable: the API or Redis cannot be used; the same call goes on where this one ended.

    """
    check_selection(options, output)
    async with selecting(session, options, output=output, progress=progress) as selected:
        return await write_selected(selected, output)


async def write_selected(selected: Selecting, output: Path | None) -> Selected:
    """Write what was selected to a file, whole or not at all, and return what it is.

    Raises:
        InvalidInput: the file cannot be written.

    """
    if output is None or not selected.found.matched:
        return Selected(selected.found)
    return Selected(selected.found, await _write(selected.lines(layout_of(output)), output), output)


@asynccontextmanager
async def selecting(
    session: Session, options: SelectOptions, *, output: Path | None, progress: Progress
) -> AsyncIterator[Selecting]:
    """Read the list, and yield what was selected; it is forgotten when the block ends without an error.

    Raises:
        InvalidInput: the options cannot be used, or what is found cannot be kept.
        Unreachable: the API or Redis cannot be used; the same call goes on where this one ended.

    """
    with _open_spool(session.settings, options, output) as spool:
        selection = _read(options, spool.began)
        progress(found_so_far(selection, spool))
        if not spool.mark.complete:
            await read_list(session, selection, spool, progress)
        yield Selecting(selection, spool, found_so_far(selection, spool))
        spool.remove()


def select_facts(selected: Selected) -> dict[str, Any]:
    """Return what a selection found as JSON takes it."""
    found = selected.found
    return {
        "read": found.read,
        "matched": found.matched,
        "left_out": found.left_out,
        "requests": found.requests,
        "seconds": round(found.seconds, 3),
        "output": None if selected.output is None else str(selected.output),
        "rows": selected.rows,
        "doubts": list(found.doubts),
    }


def _read(options: SelectOptions, now: float) -> Selection:
    try:
        return read_selection(options, now=now)
    except BadSelection as error:
        raise InvalidInput(f"{error}.", column=error.column) from error


@contextmanager
def _open_spool(settings: Settings, options: SelectOptions, output: Path | None) -> Iterator[Spool]:
    now = time.time()
    fingerprint = options.fingerprint(shared_limit(settings).key)  # which stands for the endpoint and whose it is
    path = _own_path(settings, fingerprint, now) if output is None else output.with_name(output.name + PARTIAL)
    try:
        with open_spool(path, fingerprint, now=now, keep_s=KEEP_S) as spool:
            yield spool
    except BadSelection as error:
        raise InvalidInput(f"{error}.") from error


def _own_path(settings: Settings, fingerprint: str, now: float) -> Path:
    """Return where a selection that writes no file keeps what it found; removes what others left there long ago."""
    folder = settings.state_folder
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{folder}: the folder cannot be made ({error.strerror}); set RELABEL_STATE_DIR") from error
    for left in folder.glob(f"select-*{PARTIAL}"):
        with suppress(OSError):
            if now - left.stat().st_mtime > KEEP_S:
                left.unlink()
    return folder / f"select-{fingerprint[:16]}{PARTIAL}"


async def _write(lines: AsyncIterator[bytes], output: Path) -> int:
    """Write the header and the rows to a file that is there whole or not at all; return the number of rows."""
    rows = -1
    try:
        with whole_file(output) as write:
            buffer = bytearray()
            async for line in lines:
                rows += 1
                buffer += line
                if len(buffer) >= _BUFFER:
                    write(bytes(buffer))
                    buffer.clear()
            write(bytes(buffer))
    except OSError as error:
        what = f"{output}: the selection cannot be written ({error.strerror}); make room, or choose another place"
        raise InvalidInput(f"{what}. Nothing is lost: the same command goes on.") from error
    return rows
