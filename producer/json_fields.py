"""Finds the id and the metadata in an object of JSONL: where they are by default, or where the options say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ledger.row import Patch
from producer.csv_names import ID_COLUMNS, REPORT_FIELD, meant_name
from producer.errors import BadRow
from producer.json_shape import ROW_FORM
from producer.notices import API_FIELDS
from producer.rules import Number, check_pairs, checked_id, checked_key, checked_value, shown
from producer.strict_json import JsonObject, metadata_of, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from config.input_options import InputOptions

_METADATA = "metadata"
_ABSENT = object()
_USUAL_START = "chatcmpl-"
_NOT_LABELS = API_FIELDS.union(ID_COLUMNS)
_MOST_LEVELS = 4  # at which an id is looked for to be suggested
_SUGGESTED = 3  # fields
_is_plain_name = re.compile(r"[\w-]+\Z", re.ASCII).match


class RowFields:
    """Reads rows by the options: `--id-column`, `--columns`, `--null` and `--stringify`.

    A field is named by its own name, or by a dotted path from the line down. `unseen` are the fields of `--columns`
    that no line had so far.
    """

    def __init__(self, options: InputOptions) -> None:
        self._options = options
        self._whole = {key: field for key, field in options.columns if key == _METADATA}
        self._keys = [(key.removeprefix(f"{_METADATA}."), field) for key, field in options.columns if key != _METADATA]
        self.unseen = {field for _, field in options.columns}

    def patch(self, number: int, row: Mapping[str, object]) -> Patch:
        """Return the patch that an object holds; raises BadRow."""
        _, completion_id = self.id_of(row)
        metadata = self._metadata(row)
        null = self._options.null
        if null:
            metadata = {key: None if value in null else value for key, value in metadata.items()}
        return Patch(number, completion_id, metadata)

    def id_of(self, row: Mapping[str, object]) -> tuple[str, str]:
        """Return the name of the id's field, and the id; raises BadRow."""
        named = self._options.id_column
        if named is None:
            return _default_id(row)
        # a report, which may be read with the options of its file, has the id where relabel writes it
        for path in (named, ID_COLUMNS[0]):
            if (value := find(row, path)) is not _ABSENT:
                return path, checked_id(value, path)
        raise BadRow(named, f"the line has no field {shown(named)}{_suggested_id(row)}")

    def _metadata(self, row: Mapping[str, object]) -> dict[str, str | None]:
        whole, path = self._whole_metadata(row)
        if self._keys:
            return self._chosen(row, whole if whole is _ABSENT else opened(whole, path))
        if whole is _ABSENT:
            raise BadRow(path, f"there is no {shown(path)} field{_suggested_form(row)}")
        return metadata_of(whole, path, stringify=self._options.stringify)

    def _chosen(self, row: Mapping[str, object], whole: object) -> dict[str, str | None]:
        """Return the keys of `--columns`, each a field of the line or of its metadata."""
        metadata = {}
        for key, field in self._keys:
            value = find(row, field)
            inner = find(whole, field) if isinstance(whole, dict) else _ABSENT
            if inner not in (_ABSENT, value) and value is not _ABSENT:
                what = f"{shown(field)} is a field of the line and a key of its metadata, with other values"
                raise BadRow(field, f"{what}; keep one of them")
            value = inner if value is _ABSENT else value
            if value is not _ABSENT:
                self.unseen.discard(field)
                name = checked_key(key, field)
                metadata[name] = checked_value(key, value, field, stringify=self._options.stringify)
        check_pairs(metadata, None)
        return metadata

    def _whole_metadata(self, row: Mapping[str, object]) -> tuple[object, str]:
        """Return the metadata object and its path: the one that is named, at the top, or beside the id."""
        if self._whole:
            path = self._whole[_METADATA]
            value = find(row, path)
            if value is not _ABSENT:
                self.unseen.discard(path)
            return value, path
        value = find(row, _METADATA)
        if value is not _ABSENT:
            return value, _METADATA
        above, dot, _ = (self._options.id_column or "").rpartition(".")
        if not dot:
            return _ABSENT, _METADATA
        return find(row, f"{above}.{_METADATA}"), f"{above}.{_METADATA}"


def find(row: Mapping[str, object], path: str) -> object:
    """Return the field of this name or dotted path; raises BadRow where its place is not one."""
    if path in row:
        _require_once(row, path)
        return row[path]
    name, dot, rest = path.partition(".")
    below = row.get(name)
    if not dot or not isinstance(below, dict):
        return _ABSENT
    _require_once(row, name)
    return find(below, rest)


def ignored_fields(row: Mapping[str, object]) -> tuple[str, ...]:
    """Return the fields of a row that have no meaning, but for those that the API itself gives to a completion."""
    if str(row.get("object")).startswith("chat.completion"):
        return ()
    return tuple(name for name in row if name not in {*_NOT_LABELS, _METADATA, REPORT_FIELD})


def _require_once(row: Mapping[str, object], name: str) -> None:
    if isinstance(row, JsonObject) and name in row.repeated:
        raise BadRow(name, f"field {shown(name)} stands in the line more than once")


def _default_id(row: Mapping[str, object]) -> tuple[str, str]:
    for field in ID_COLUMNS:
        _require_once(row, field)
    found = [(field, _id_in(row, field)) for field in ID_COLUMNS if row.get(field) is not None]
    if not found:
        what = "the id is missing; the line needs a field 'completion_id' or 'id'"
        raise BadRow(ID_COLUMNS[0], what + _suggested_id(row))
    if len(found) == 2 and found[0][1] != found[1][1]:
        raise BadRow("id", "'completion_id' and 'id' have different values; keep one of them")
    return found[0]


def _id_in(row: Mapping[str, object], field: str) -> str:
    value = row[field]
    try:
        return checked_id(value, field)
    except BadRow as error:
        is_text = isinstance(value, str) and not isinstance(value, Number)
        raise BadRow(field, error.reason if is_text else f"{error.reason}{_suggested_id(row)}") from None


def _suggested_id(row: Mapping[str, object]) -> str:
    path = next(_paths_of_ids(row, ()), None)
    return f"; {shown(path)} looks like one: --id-column {path}" if path else ""


def _paths_of_ids(row: Mapping[str, object], above: tuple[str, ...]) -> Iterator[str]:
    for name, value in row.items():
        if not _is_plain_name(name):
            continue
        if isinstance(value, str) and value.startswith(_USUAL_START):
            yield ".".join((*above, name))
        elif isinstance(value, dict) and len(above) < _MOST_LEVELS:
            yield from _paths_of_ids(value, (*above, name))


def _suggested_form(row: Mapping[str, object]) -> str:
    if name := next((name for name in row if meant_name(name) == _METADATA), None):
        return f"; did you mean {shown(name)}? Then set --columns metadata={name}"
    flat = [
        name
        for name, value in row.items()
        if name not in _NOT_LABELS and _is_plain_name(name) and isinstance(value, str | Number | bool)
    ]
    option = f", or name the fields: --columns {','.join(flat[:_SUGGESTED])}" if flat else ""
    return f"; a row is {ROW_FORM}{option}"
