"""From a path to what is asked for. Source of the paths: contract section 1."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote

from sandbox.errors import ApiError, method_not_supported, unknown_url

_PREFIXES = ("/v1/chat/completions", "/openai/v1/chat/completions", "/openai/chat/completions")
_LEGACY = "/openai/chat/completions"
_COLLECTION = {"GET": "list", "POST": "create"}
_ONE = {"GET": "get", "POST": "update", "DELETE": "delete"}
_MESSAGES = {"GET": "messages"}


class Call(NamedTuple):
    """The operation that a request calls; `operation` is None where the API has no answer, and `refusal` says why."""

    method: str
    path: str
    query: str
    operation: str | None
    id: str | None
    refusal: ApiError | None


def resolve(method: str, raw_path: str) -> Call:
    """Return the call of a request line: OpenAI's path, or one of Azure's two forms."""
    path, _, query = raw_path.partition("?")
    operations, completion_id = _place(path, query)
    if operations is None:
        return Call(method, path, query, None, None, unknown_url(method, path))
    operation = operations.get(method)
    refusal = None if operation else method_not_supported(tuple(operations))
    return Call(method, path, query, operation, completion_id, refusal)


def _place(path: str, query: str) -> tuple[dict[str, str] | None, str | None]:
    prefix = next((prefix for prefix in _PREFIXES if path.startswith(prefix)), None)
    if prefix is None or (prefix == _LEGACY and "api-version=" not in query):
        return None, None
    match path[len(prefix) :].split("/"):
        case [""]:
            return _COLLECTION, None
        case ["", segment] if segment:
            return _ONE, unquote(segment)
        case ["", segment, "messages"] if segment:
            return _MESSAGES, unquote(segment)
    return None, None
