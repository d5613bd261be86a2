"""What an input is and does: how it was read, and what its rows do, key by key, counted while they are checked."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.row import Patch

MOST_KEYS = 1000
"""Keys that are counted by name; metadata with more of them in all is no plan of anybody."""
SAMPLES = 3
SAMPLE_CHARS = 60
"""Characters kept of a sample value, so that memory is bounded."""
NULL_TEXTS = frozenset(
    {"NULL", "Null", "null", "\\N", "NaN", "nan", "NAN", "None", "<NA>", "NaT", "#N/A", "N/A", "(null)", "undefined"}
    | {"NA", "[NULL]", "<null>", "<nil>", "[object Object]"}
    | {"#NAME?", "#REF!", "#DIV/0!", "#VALUE!", "#NUM!", "#NULL!", "#ERROR!"}
)
"""Texts that tools write for a missing value: SQL clients, pandas, numpy, Python, R, Go, JavaScript, spreadsheets."""

_SAMPLED_ROWS = 1024  # values are sampled of these rows, then of the first of those that are added together
_SHAPES = 64  # sets of keys that are counted until their keys are
_INDEX_NAME = re.compile(r"Unnamed: \d+(\.\d+)*|(__index_)?level_\d+(__)?|\.\.\.\d+").fullmatch
"""What pandas, pyarrow and R's readr call a column without a name, in practice the row numbers."""
_may_be_index = re.compile(r"(?i:index|idx|#|№|no\.?|nr\.?|row[ _]?(?:id|num|number|no|index)?)|X|Column").fullmatch
"""What row numbers are called in sheets, by pandas (index), R (X), OpenRefine (Column) and in SQL; labels, too."""
_is_row_number = re.compile(r"[0-9]{1,11}\.?").fullmatch
_INDEX_ROWS = {0: 3, 1: 10}
"""Rows from which on numbers that count up from 0 or 1 are row numbers: few labels are 0, 1, 2."""
_NULLS: frozenset[str | None] = NULL_TEXTS | {None}


class Reading(NamedTuple):
    """How an input was read: its delimiter, '' where it has none; the columns that were left out; what to know of it.

    A notice is one sentence without its full stop. `id_names` are the names that the id may have in the input.
    """

    delimiter: str = ""
    ignored: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    id_names: tuple[str, ...] = ()


class KeyProfile(NamedTuple):
    """What the valid rows do to one metadata key, and the first values that they set it to, cut to `SAMPLE_CHARS`.

    `is_index` tells that the key looks like the row numbers of the tool that wrote the file.
    """

    key: str
    set_in: int
    removed_in: int
    samples: list[str]
    is_index: bool


class Profile(NamedTuple):
    """What the `rows` valid rows of an input do, before rows of one id are folded.

    `keys` are in the order in which they first occur; `other_pairs` counts pairs of keys beyond `MOST_KEYS`.
    `null_texts` maps a text that stands for a missing value to the number of values that are it.
    """

    rows: int
    keys: list[KeyProfile]
    other_pairs: int
    null_texts: dict[str, int]


class Profiler:
    """Counts rows, many at a time: what is done for each of them costs a tenth of the check otherwise."""

    def __init__(self) -> None:
        self._rows = 0
        # rows of one file name few different sets of keys, so a row costs one count however many keys it has
        self._shapes: Counter[tuple[str, ...]] = Counter()
        self._named: dict[str, int] = {}
        self._other_pairs = 0
        self._removed: Counter[str] = Counter()
        self._null_texts: Counter[str] = Counter()
        self._samples: dict[str, list[str]] = {}
        self._series: dict[str, tuple[int, int]] = {}  # keys whose values count up so far: the first and the last

    def add(self, rows: Sequence[Patch]) -> None:
        """Count the next valid rows."""
        maps = [row.metadata for row in rows]
        self._count_shapes_of(maps)
        if not _NULLS.isdisjoint(chain.from_iterable(map(dict.values, maps))):
            for metadata in maps:
                self._note_nulls(metadata)
        for metadata in maps if self._rows < _SAMPLED_ROWS else maps[:1]:
            self._sample(metadata)
        if self._series or not self._rows:
            self._follow(rows)
        self._rows += len(rows)
        if len(self._shapes) > _SHAPES:
            self._name_shapes()

    def profile(self) -> Profile:
        """Return what was counted."""
        self._name_shapes()
        keys = [self._key(key, number) for key, number in self._named.items()]
        return Profile(self._rows, keys, self._other_pairs, dict(self._null_texts))

    def _key(self, key: str, number: int) -> KeyProfile:
        removed = self._removed[key]
        return KeyProfile(key, number - removed, removed, self._samples.get(key, []), self._is_index(key))

    def _is_index(self, key: str) -> bool:
        samples = self._samples.get(key, [])
        if _INDEX_NAME(key) or (_may_be_index(key) and samples and all(map(_is_row_number, samples))):
            return True
        first, _ = self._series.get(key, (-1, -1))
        return first in _INDEX_ROWS and self._rows >= _INDEX_ROWS[first]

    def _count_shapes_of(self, maps: list[dict[str, str | None]]) -> None:
        shapes = list(map(tuple, maps))
        if shapes and shapes.count(shapes[0]) == len(shapes):  # comparing costs half of hashing
            self._shapes[shapes[0]] += len(shapes)
        else:
            self._shapes.update(shapes)

    def _name_shapes(self) -> None:
        for shape, number in self._shapes.items():
            for key in shape:
                if key in self._named or len(self._named) < MOST_KEYS:
                    self._named[key] = self._named.get(key, 0) + number
                else:
                    self._other_pairs += number
        self._shapes.clear()

    def _note_nulls(self, metadata: dict[str, str | None]) -> None:
        if _NULLS.isdisjoint(metadata.values()):
            return
        for key, value in metadata.items():
            if value in NULL_TEXTS:
                self._null_texts[value] += 1
            elif value is None and (key in self._removed or len(self._removed) < MOST_KEYS):
                self._removed[key] += 1

    def _sample(self, metadata: dict[str, str | None]) -> None:
        for key, value in metadata.items():
            samples = self._samples.get(key)
            if samples is None:
                if len(self._samples) >= MOST_KEYS:
                    continue
                samples = self._samples[key] = []
            if value and len(samples) < SAMPLES and (cut := _cut(value)) not in samples:
                samples.append(cut)

    def _follow(self, rows: Sequence[Patch]) -> None:
        """Keep the keys whose values still count up, each with a number that is not above its line."""
        if rows and not self._rows:
            self._series = dict.fromkeys(rows[0].metadata, (-1, -1))
        for row in rows:
            for key, (first, last) in list(self._series.items()):
                number = _number(row.metadata.get(key))
                if last < number <= row.line:
                    self._series[key] = (number if first < 0 else first, number)
                else:
                    del self._series[key]
            if not self._series:
                return


def _number(value: str | None) -> int:
    """Return the row number that a value may be, -1 where it is none."""
    return int(value) if value and len(value) < 12 and value.isascii() and value.isdigit() else -1


def _cut(value: str) -> str:
    return value if len(value) <= SAMPLE_CHARS else value[: SAMPLE_CHARS - 1] + "…"
