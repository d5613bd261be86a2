"""Parses JSON that is certainly valid with one typed decoding; most rows are.

What cannot be proven is read again by `producer.strict_json`, which is slower and says what is wrong.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from ledger.row import MAX_KEY_CHARS, MAX_PAIRS, MAX_VALUE_CHARS, Patch
from producer.rules import is_sound_id

_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY_CHARS)]
_Value = Annotated[str, msgspec.Meta(max_length=MAX_VALUE_CHARS)]
_Pairs = dict[_Key, _Value | None]
_RawPairs = dict[_Key, msgspec.Raw]
Metadata = dict[str, str | None]


class _Row(msgspec.Struct):
    completion_id: str | None = None
    id: str | None = None
    metadata: _Pairs | None = None


class _RawRow(msgspec.Struct):
    completion_id: str | None = None
    id: str | None = None
    metadata: _RawPairs | None = None


_NOT_PROVEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_decode_row = msgspec.json.Decoder(_Row).decode
_decode_raw_row = msgspec.json.Decoder(_RawRow).decode
_decode_pairs = msgspec.json.Decoder(_Pairs).decode
_decode_raw_pairs = msgspec.json.Decoder(_RawPairs).decode
_decode_value = msgspec.json.Decoder(_Value).decode
_decode_anything = msgspec.json.Decoder().decode
_key_ends = re.compile(rb'"\s*:').findall
_is_number = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?").fullmatch
_WORDS = {b"null": None, b"true": "true", b"false": "false"}


def proven_patch(line: bytes, number: int, *, stringify: bool = False) -> Patch | None:
    """Return the patch that a JSONL line holds, None where it is not certainly valid."""
    try:
        row = _decode_raw_row(line) if stringify else _decode_row(line)
        metadata = _as_text(row.metadata or {}) if isinstance(row, _RawRow) else row.metadata
        completion_id = row.completion_id or row.id
        if not metadata or len(metadata) > MAX_PAIRS or completion_id is None or not is_sound_id(completion_id):
            return None
        if not _holds_keys(line, 2 + len(metadata)) and not (_has_one_id(row) and _holds_keys_in_all(line)):
            return None
    except _NOT_PROVEN:
        return None
    return Patch(number, completion_id, metadata)


def proven_object(line: bytes) -> dict[str, object] | None:
    """Return the object that a JSONL line holds, None where it is not certainly valid."""
    try:
        value = _decode_anything(line)
        sound = isinstance(value, dict) and _holds_keys(line, _keys_in(value))
    except _NOT_PROVEN:
        return None
    return value if sound else None


def proven_metadata(raw: bytes, *, stringify: bool = False) -> Metadata | None:
    """Return the pairs that a JSON object holds, None where it is not certainly valid."""
    try:
        metadata = _as_text(_decode_raw_pairs(raw)) if stringify else _decode_pairs(raw)
    except _NOT_PROVEN:
        return None
    sound = metadata and len(metadata) <= MAX_PAIRS and _holds_keys(raw, len(metadata))
    return metadata if sound else None


def _as_text(pairs: dict[str, msgspec.Raw]) -> Metadata | None:
    """Return the values as text, numbers as in the file; None where one is not a string, number or boolean."""
    metadata: Metadata = {}
    for key, value in pairs.items():
        raw = bytes(value)
        if raw.startswith(b'"'):
            metadata[key] = _decode_value(raw)
        elif raw in _WORDS:
            metadata[key] = _WORDS[raw]
        elif _is_number(raw) and len(raw) <= MAX_VALUE_CHARS:
            metadata[key] = raw.decode()
        else:
            return None
    return metadata


def _has_one_id(row: _Row | _RawRow) -> bool:
    return row.completion_id is None or row.id is None


def _holds_keys(raw: bytes, number: int) -> bool:
    """Return whether the text certainly holds exactly so many keys, and no NUL character.

    A repeated key is lost in decoding but leaves one more key end in the text. In a JSONL line the same count proves
    that there are no other fields, so that every string was decoded and is valid UTF-8.
    """
    return (raw.count(b":") == number or len(_key_ends(raw)) == number) and b"\\u0000" not in raw


def _holds_keys_in_all(line: bytes) -> bool:
    """Return whether no key is repeated in a line with other fields; all of it is decoded, as its strings must be."""
    return _holds_keys(line, _keys_in(_decode_anything(line)))


def _keys_in(value: object) -> int:
    number, values = 0, [value]
    for each in values:  # which grows by what is found in them
        if type(each) is dict:
            number += len(each)
            values += each.values()
        elif type(each) is list:
            values += each
    return number
