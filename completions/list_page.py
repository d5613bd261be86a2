"""Reads one page of the list of stored completions. Real items break the schema: every part of one may be missing."""

from __future__ import annotations

import json
from typing import Any, Literal, NamedTuple

import msgspec

from completions.age import created_at
from completions.reply import MAX_METADATA_BYTES, bad_response
from ledger.completion_id import id_problem
from ledger.row import Metadata

Order = Literal["asc", "desc"]
MAX_LIMIT = 100
"""Completions a page may have; more was never seen to work (contract section 1)."""
MAX_PAGE_BYTES = 32 << 20
"""Bytes a page may have: items carry the completion's text, a hundred of which may be long."""
MAX_MODEL_CHARS = 256
"""A longer name is no model's."""
_LATEST = 1 << 36
"""Seconds since the epoch from which a number is no creation time, but say milliseconds."""


class Listed(NamedTuple):
    """A completion as a page shows it, `created` in seconds since the epoch.

    What a page does not show is None, the metadata also where it is no map of strings: a GET decides then. The creation
    time is taken from the id where the page has none.
    """

    id: str
    created: int | None
    model: str | None
    metadata: Metadata | None


class ListQuery(msgspec.Struct, frozen=True):
    """What is listed and in which order, which is always sent: the default is not the one that is documented."""

    model: str | None = None
    metadata: dict[str, str] = {}
    order: Order = "desc"
    limit: int = MAX_LIMIT

    def parameters(self, after: str | None) -> list[tuple[str, str]]:
        """Return the parameters of the request for the page after this completion, None for the first."""
        pairs = [("limit", str(self.limit)), ("order", self.order)]
        pairs += [("model", self.model)] if self.model is not None else []
        pairs += [(f"metadata[{key}]", value) for key, value in self.metadata.items()]
        return pairs + ([("after", after)] if after is not None else [])


class Page(NamedTuple):
    """One page. `last_id` is the cursor of the next page, None where there is none.

    `unusable` counts the entries that no id could be read from.
    """

    items: list[Listed]
    has_more: bool
    last_id: str | None
    request_id: str
    unusable: int = 0


class _Item(msgspec.Struct):
    id: str
    created: int | None = None
    model: str | None = None
    metadata: dict[str, str] | None = None


class _Page(msgspec.Struct):
    data: list[_Item]
    has_more: bool
    last_id: str | None = None


_decode = msgspec.json.Decoder(_Page).decode
_UNREADABLE = (ValueError, RecursionError)


def read_page(content: bytes, request_id: str, *, limit: int) -> Page:
    """Return what the body of an answer to a list of up to `limit` shows.

    Raises:
        Retryable: it is no list.

    """
    try:
        page = _decode(content)
        found = [_listed(item) for item in page.data]
        has_more, last_id = page.has_more, page.last_id
    except (msgspec.DecodeError, *_UNREADABLE):
        found, has_more, last_id = _read_leniently(content, request_id, limit)
    items = [item for item in found if item is not None]
    if items and (not last_id or id_problem(last_id)):
        last_id = items[-1].id
    return Page(items, has_more, last_id, request_id, len(found) - len(items))


def _read_leniently(content: bytes, request_id: str, limit: int) -> tuple[list[Listed | None], bool, str | None]:
    """Read a page whose parts are not all as they should be, by a parser that also takes half of a surrogate pair."""
    try:
        page = json.loads(content)
    except _UNREADABLE:
        page = None
    if not isinstance(page, dict) or not isinstance(page.get("data", ""), list | None):
        raise bad_response("is not a list of completions", request_id, writes=False)
    found = [_read_item(item) for item in page["data"] or []]
    has_more, last_id = page.get("has_more"), page.get("last_id")
    return (
        found,
        has_more if isinstance(has_more, bool) else len(found) >= limit,
        last_id if isinstance(last_id, str) else None,
    )


def _read_item(item: Any) -> Listed | None:
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        return None
    model, metadata = item.get("model"), item.get("metadata")
    return _listed(
        _Item(
            item["id"],
            _seconds(item.get("created")),
            model if _is_text(model) else None,
            metadata if _is_map_of_text(metadata) else None,
        )
    )


def _seconds(created: Any) -> int | None:
    if isinstance(created, bool) or not isinstance(created, int | float) or not 0 < created < _LATEST:
        return None
    return int(created)


def _is_map_of_text(metadata: Any) -> bool:
    return isinstance(metadata, dict) and all(map(_is_text, metadata)) and all(map(_is_text, metadata.values()))


def _is_text(value: Any) -> bool:
    """Return whether this is text that can be written as UTF-8, without half of a surrogate pair."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _listed(item: _Item) -> Listed | None:
    """Return the item without what cannot be true, None where its id cannot be used."""
    if id_problem(item.id):
        return None
    created, model, metadata = item.created, item.model, item.metadata
    if created is None or not 0 < created < _LATEST:
        decoded = created_at(item.id)
        created = None if decoded is None else int(decoded)
    if model is not None and len(model) > MAX_MODEL_CHARS:
        model = None
    if metadata and _is_too_large(metadata):
        metadata = None
    return Listed(item.id, created, model, metadata)


def _is_too_large(metadata: Metadata) -> bool:
    return 4 * (sum(map(len, metadata)) + sum(map(len, metadata.values()))) > MAX_METADATA_BYTES
