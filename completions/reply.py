"""Reads the answer 200 to a request about one completion."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from completions.errors import Retryable
from ledger.row import Metadata

MAX_METADATA_BYTES = 1 << 16
"""Bytes that a completion's metadata may take, as it is stored with each row. 16 pairs at their limits take 37 kB."""


class Completion(msgspec.Struct, frozen=True):
    """What relabel reads of a stored completion; real objects break the schema (contract section 1)."""

    id: str
    metadata: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET


class CompletionOnly(msgspec.Struct, frozen=True):
    """A stored completion whose metadata is not a map of strings."""

    id: str


class Reply(NamedTuple):
    """The metadata that an answer shows, and the server's id of the request.

    `metadata` is None where the answer shows no map of strings, which proves nothing; `is_null` where it shows null.
    """

    metadata: Metadata | None
    request_id: str
    is_null: bool = False

    def shows(self, metadata: Metadata) -> bool:
        """Return whether the answer shows this metadata, where null counts as empty."""
        return self.metadata == metadata or (self.is_null and not metadata)


_decode = msgspec.json.Decoder(Completion).decode
_decode_id = msgspec.json.Decoder(CompletionOnly).decode


def read_reply(content: bytes, completion_id: str, request_id: str, *, writes: bool) -> Reply:
    """Return what the body of an answer shows of the completion.

    Raises:
        Retryable: it is no completion, another one, or larger than the API allows.

    """
    try:
        completion = _decoded(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad_response("is not a completion object", request_id, writes=writes) from None
    if completion.id != completion_id:
        raise bad_response("is another completion", request_id, writes=writes)
    metadata = completion.metadata
    if metadata is None or metadata is msgspec.UNSET:
        return Reply(None, request_id, is_null=metadata is None)
    if len(content) > MAX_METADATA_BYTES and _size(metadata) > MAX_METADATA_BYTES:
        raise bad_response("shows more metadata than the API allows", request_id, writes=writes)
    return Reply(metadata, request_id)


def require_json(content: bytes, request_id: str) -> None:
    """Raise Retryable where the answer 200 to a read is no JSON: a login page, a proxy's error page."""
    try:
        msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise bad_response("is no JSON", request_id, writes=False) from None


def bad_response(what: str, request_id: str, *, writes: bool) -> Retryable:
    """Return the refusal for an answer 200 whose body cannot be used; `writes` tells whether it was to an update."""
    message = f"the API answered 200, but the body {what}"
    return Retryable("bad_response", message, status=200, request_id=request_id, ambiguous=writes)


def _decoded(content: bytes) -> Completion:
    try:
        return _decode(content)
    except msgspec.ValidationError:
        return Completion(_decode_id(content).id)


def _size(metadata: Metadata) -> int:
    return sum(len(text.encode()) for pair in metadata.items() for text in pair)
