"""The files of a job's input: the lines of all of them are numbered through, so that a row needs one number."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from operator import attrgetter
from typing import NamedTuple

import msgspec


class InputFile(msgspec.Struct, frozen=True):
    """One of several files, and the number of lines in those before it."""

    name: str
    lines_before: int


class Place(NamedTuple):
    """A line in its own file, from 1; `file` is '' where the input is one file."""

    file: str
    line: int

    def __str__(self) -> str:
        """Return the place as messages name it: `line 3`, or `b.csv, line 3`."""
        return f"{self.file}, line {self.line}" if self.file else f"line {self.line}"


def place_of(line: int, files: Sequence[InputFile]) -> Place:
    """Return the place of a line that is numbered through these files, none for a single one."""
    if not files:
        return Place("", line)
    file = files[bisect_left(files, line, key=attrgetter("lines_before")) - 1]
    return Place(file.name, line - file.lines_before)
