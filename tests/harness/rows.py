"""Rows to change: ids as the API makes them, what is stored before, what is asked for, what is to be there after."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator

from ledger.job_spec import Columns, Mode
from ledger.row import Metadata, Patch
from sandbox.completion import new_id

_LETTERS = string.digits + string.ascii_letters


class PatchRows:
    """So many rows, each tenth of which is as it should be already; made anew from the same seed."""

    def __init__(self, number: int, *, seed: int = 0, mode: Mode = Mode.MERGE) -> None:
        draw = random.Random(seed)
        self.mode = mode
        self.columns = Columns(format="jsonl", id_column="completion_id", header=[])
        self.patches: dict[str, dict[str, str | None]] = {}
        self.before: dict[str, Metadata] = {}
        for row in range(number):
            completion_id = "chatcmpl-CUL7L" + "".join(draw.choices(_LETTERS, k=24))
            patch: dict[str, str | None] = {"team": f"team {row % 7}", "reviewed": f"row {row}", "draft": None}
            kept = {"origin": f"import {row}"} if mode is Mode.MERGE else {}
            self.patches[completion_id] = patch
            if row % 10 == 9:
                self.before[completion_id] = kept | {key: value for key, value in patch.items() if value is not None}
            else:
                self.before[completion_id] = kept | {"team": "none", "draft": "yes"}

    def __len__(self) -> int:
        return len(self.patches)

    def __iter__(self) -> Iterator[Patch]:
        for line, (completion_id, metadata) in enumerate(self.patches.items(), start=1):
            yield Patch(line, completion_id, metadata)

    @property
    def ids(self) -> list[str]:
        """The ids in the order of the rows."""
        return list(self.patches)

    def after(self, completion_id: str) -> Metadata:
        """What the completion is to hold in the end."""
        merged = dict(self.before[completion_id]) if self.mode is Mode.MERGE else {}
        for key, value in self.patches[completion_id].items():
            merged.pop(key, None)
            if value is not None:
                merged[key] = value
        return merged

    def needs_change(self, completion_id: str) -> bool:
        """Whether the completion is not yet as it is to be."""
        return self.before[completion_id] != self.after(completion_id)

    @property
    def least_requests(self) -> int:
        """Requests that the rows take when nothing goes wrong: a read each, and a write where there is a change."""
        return len(self) + sum(map(self.needs_change, self.patches))


def usual_id(row: int) -> str:
    """An id that looks like one of the API's."""
    return f"chatcmpl-CUL7LH3wC39LYNbTfcOm9Q7X{row:06d}"


def dated_id(created_at: float, row: int = 0) -> str:
    """An id of a completion that was created at this second (contract section 4, age hint)."""
    return new_id(int(created_at), f"{row:024d}")


def lines(*rows: str, header: str = "completion_id,quality,team") -> str:
    """A CSV file of rows with usual ids; `rows` are their other cells."""
    return "\n".join([header, *(f"{usual_id(row)},{cells}" for row, cells in enumerate(rows))]) + "\n"
