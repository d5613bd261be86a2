"""Rows of a Python program as an input: pairs of an id and its metadata, or a DataFrame, read one after the other.

They become JSON Lines, so that the rules, the folding and the report of a file are theirs, too.
"""

from __future__ import annotations

import asyncio
import io
import math
import os
import sys
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol, cast, runtime_checkable

import msgspec

from producer.csv_names import ID_COLUMNS, KEY_PREFIX, REPORT_PREFIX
from relabel.arguments import file_options
from relabel.errors import InvalidInput
from relabel.submit import FileOptions, check_file, check_rows

if TYPE_CHECKING:
    from config.input_options import InputOptions
    from config.settings import Settings
    from producer.checked import Checked

REMOVE: Final = "\0relabel: remove this key\0"
"""As a value: remove the key. A text, so that it can stand in any column; no file can hold it, nor can the API."""

Row = tuple[str, Mapping[str, Any]]
"""The id of a completion and the metadata that it is to get; None or `REMOVE` removes a key."""


@runtime_checkable
class DataFrame(Protocol):
    """A frame of pandas or polars, known by its columns: none of them is imported."""

    @property
    def columns(self) -> Any:
        """The names of the columns."""


Rows = Iterable[Row] | DataFrame
Input = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Rows
"""A file, several files, or rows."""
AsyncInput = Input | AsyncIterable[Row]

_encode = msgspec.json.Encoder().encode


def paths_of(given: object) -> tuple[str, ...] | None:
    """Return the paths that an input names; None where it is rows."""
    if isinstance(given, str | os.PathLike):
        return (os.fspath(cast("str", given)),)
    if isinstance(given, list | tuple) and given and all(isinstance(each, str | os.PathLike) for each in given):
        return tuple(os.fspath(each) for each in given)
    return None


def open_rows(rows: Rows, options: InputOptions) -> BinaryIO:
    """Return the rows as JSON Lines, made as they are read.

    Raises:
        InvalidInput: a DataFrame has no column of ids; while it is read: a row is none, or a value is of no type that
            can be text.

    """
    if isinstance(rows, DataFrame):
        pairs: Iterator[tuple[object, Mapping[str, Any]]] = _pairs_of_frame(rows, options)
    else:
        pairs = map(_pair, rows)
    return io.BufferedReader(_Lines(_lines(pairs, stringify=options.stringify)), buffer_size=1 << 16)


def in_thread(rows: AsyncIterable[Row], loop: asyncio.AbstractEventLoop) -> Iterator[Row]:
    """Yield the rows of an asynchronous iterable in another thread than that of its loop."""

    async def following(iterator: AsyncIterator[Row]) -> Row | None:
        return await anext(iterator, None)

    iterator = aiter(rows)
    while (row := asyncio.run_coroutine_threadsafe(following(iterator), loop).result()) is not None:
        yield row


def check_input(given: Input, settings: Settings, arguments: Mapping[str, Any]) -> tuple[Checked, FileOptions]:
    """Read and check files or rows whole, and return them with their options; the caller closes what was checked.

    Raises:
        UnreadableFile: a file cannot be trusted, or there are no rows.
        InvalidInput: an argument cannot be used, or what was given is no input.

    """
    paths = paths_of(given)
    options = file_options(paths or ("rows",), **arguments)
    if paths:
        return check_file(options, settings, stdin=sys.stdin.buffer), options
    return check_rows(open_rows(cast("Rows", given), options.reading), options, settings), options


class _Lines(io.RawIOBase):
    """Lines as a stream."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._lines, b"")
        taken = min(len(buffer), len(self._rest))
        buffer[:taken], self._rest = self._rest[:taken], self._rest[taken:]
        return taken


def _lines(pairs: Iterator[tuple[object, Mapping[str, Any]]], *, stringify: bool) -> Iterator[bytes]:
    for number, (completion_id, metadata) in enumerate(pairs, start=1):
        taken = {key: _value(value, key, number, stringify=stringify) for key, value in metadata.items()}
        named = None if _is_missing(completion_id) else completion_id
        try:
            yield _encode({ID_COLUMNS[0]: named, "metadata": taken}) + b"\n"
        except (TypeError, ValueError, msgspec.EncodeError) as error:
            raise InvalidInput(f"row {number:,}: its id or a key is no text ({type(error).__name__}).") from error


def _pair(row: object) -> tuple[object, Mapping[str, Any]]:
    if isinstance(row, tuple | list) and len(row) == 2 and isinstance(row[1], Mapping):
        return row[0], row[1]
    raise InvalidInput(
        f"a row is a {type(row).__name__}; give pairs of an id and a mapping of keys to values, such as "
        "(id, {'team': 'search'}), a DataFrame, or the path of a file."
    )


def _value(value: Any, key: str, number: int, *, stringify: bool) -> str | float | None:
    """Return a value as JSON; a number stays one, so that it is rejected where it is not to be text."""
    if value is None or (isinstance(value, str) and value == REMOVE):
        return None
    if isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if callable(item := getattr(value, "item", None)):  # a number of numpy
        return _value(item(), key, number, stringify=stringify)
    if _is_missing(value):
        raise InvalidInput(
            f"row {number:,}: key {key!r} has a missing value; leave it out, or write None to remove it."
        )
    if not stringify:
        raise InvalidInput(
            f"row {number:,}: the value of {key!r} is a {type(value).__name__}; stringify=True takes it."
        )
    return str(value)


def _is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, NaT or pandas.NA."""
    return value is None or type(value).__name__ in {"NAType", "NaTType"} or _is_nan(value)


def _is_nan(value: Any) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, int) and value != value  # noqa: PLR0124 - NaN alone


def _pairs_of_frame(frame: Any, options: InputOptions) -> Iterator[tuple[object, dict[str, Any]]]:
    names = [str(name) for name in frame.columns]
    id_at = _id_place(names, options.id_column)
    keys = _key_places(names, id_at, options)
    if hasattr(frame, "iter_rows"):
        rows = frame.iter_rows()
    elif hasattr(frame, "itertuples"):
        rows = frame.itertuples(index=False, name=None)
    else:
        raise InvalidInput(f"a {type(frame).__name__} has no rows to go over; pass a DataFrame of it (collect()).")
    return ((row[id_at], {key: row[at] for key, at in keys.items() if not _is_missing(row[at])}) for row in rows)


def _id_place(names: list[str], named: str | None) -> int:
    wanted = (named,) if named else ID_COLUMNS
    places = [at for at, name in enumerate(names) if name in wanted]
    if not places:
        raise InvalidInput(
            f"the DataFrame has no column {' or '.join(wanted)}; name the column of ids with id_column=. "
            "An index is no column: reset_index() makes it one."
        )
    if len(places) > 1:
        raise InvalidInput(
            f"the DataFrame has columns {names[places[0]]!r} and {names[places[1]]!r}; keep one of them."
        )
    return places[0]


def _key_places(names: list[str], id_at: int, options: InputOptions) -> dict[str, int]:
    """Return the place of each key's column; those of a report are passed over."""
    if options.columns:
        absent = [column for _, column in options.columns if column not in names]
        if absent:
            raise InvalidInput(f"the DataFrame has no column {absent[0]!r}; correct columns=.")
        return {key: names.index(column) for key, column in options.columns}
    places: dict[str, int] = {}
    for at, name in enumerate(names):
        key = name.removeprefix(KEY_PREFIX)
        if at == id_at or name.startswith(REPORT_PREFIX):
            continue
        if key in places:
            raise InvalidInput(f"the DataFrame has key {key!r} in two columns; keep one of them.")
        places[key] = at
    return places
