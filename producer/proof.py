"""Proves with one typed decoding that JSON is good beyond doubt, which most rows are.

What cannot be proven is read again by `producer.json_text`, which is slower and says what is wrong.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from ledger.row import MAX_KEY_CHARS, MAX_PAIRS, MAX_VALUE_CHARS, Patch
from producer.limits import is_plain_id

_Key = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY_CHARS)]
_Value = Annotated[str, msgspec.Meta(max_length=MAX_VALUE_CHARS)]
_Pairs = dict[_Key, _Value | None]


class _Row(msgspec.Struct):
    completion_id: str | None = None
    id: str | None = None
    metadata: _Pairs | None = None


_NOT_PROVEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_decode_row = msgspec.json.Decoder(_Row).decode
_decode_pairs = msgspec.json.Decoder(_Pairs).decode
_key_ends = re.compile(rb'"\s*:').findall


def proven_patch(line: bytes, number: int) -> Patch | None:
    """Give the patch that a JSONL line holds, or None where there is any doubt."""
    try:
        row = _decode_row(line)
    except _NOT_PROVEN:
        return None
    metadata = row.metadata
    completion_id = row.completion_id or row.id
    if not metadata or len(metadata) > MAX_PAIRS or completion_id is None or not is_plain_id(completion_id):
        return None
    return Patch(number, completion_id, metadata) if _holds_keys(line, 2 + len(metadata)) else None


def proven_metadata(raw: bytes) -> dict[str, str | None] | None:
    """Give the pairs that a JSON object holds, or None where there is any doubt."""
    try:
        metadata = _decode_pairs(raw)
    except _NOT_PROVEN:
        return None
    sound = 0 < len(metadata) <= MAX_PAIRS and _holds_keys(raw, len(metadata))
    return metadata if sound else None


def _holds_keys(raw: bytes, number: int) -> bool:
    """Whether the text surely holds so many keys and no more, and no NUL character.

    A repeated key is lost in decoding but leaves one more key end in the text. In a JSONL line the same count proves
    that there are no other fields, so that every string was decoded and is valid UTF-8.
    """
    return (raw.count(b":") == number or len(_key_ends(raw)) == number) and b"\\u0000" not in raw
