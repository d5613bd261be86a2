"""What the OpenAPI document says of answers: results by their types, and the errors that each operation may meet."""

from __future__ import annotations

import inspect
from collections import defaultdict
from types import UnionType
from typing import Any, Literal, get_args

import msgspec

from relabel import job_status, rate, receipt_result, results
from relabel.problems import PROBLEMS
from web.refusals import REFUSALS
from web.selection_body import PlanOfSelection

ALWAYS = ("invalid_request", "unauthorized", "missing_scope", "host_not_allowed", "too_many_requests")
"""What any request that needs a token may meet."""
JOB = ("no_such_job", "job_expired")
"""What any request for a job may meet."""
_REF = "#/components/schemas/{name}"
_KINDS = {kind.code: (kind.status, kind.title) for kind in PROBLEMS} | {
    code: (kind.status, kind.title) for code, kind in REFUSALS.items()
}

Answers = dict[int | str, dict[str, Any]]


class Alive(msgspec.Struct, frozen=True):
    """The server answers."""

    status: Literal["ok"]


class Question(msgspec.Struct, frozen=True):
    """What somebody has to confirm, by naming the code in `confirm`."""

    code: str
    text: str


class InvalidPart(msgspec.Struct, frozen=True, rename={"place": "in"}):
    """A part of a request that cannot be understood: where it is, and why."""

    place: str
    reason: str


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error (RFC 9457). `code` is stable; `detail` says what happened, `next_step` what to do.

    `line` and `column` are the place in the input where there is one. The others are there by code: `state` and
    `actions` of the job (`wrong_state`, `needs_approval`), `questions` (`needs_confirmation`), `scope`
    (`missing_scope`), `errors` (`invalid_request`), `limit` (`too_large`).
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    next_step: str | None
    line: int | msgspec.UnsetType = msgspec.UNSET
    column: int | str | msgspec.UnsetType = msgspec.UNSET
    state: str | msgspec.UnsetType = msgspec.UNSET
    actions: list[str] | msgspec.UnsetType = msgspec.UNSET
    questions: list[Question] | msgspec.UnsetType = msgspec.UNSET
    scope: str | msgspec.UnsetType = msgspec.UNSET
    errors: list[InvalidPart] | msgspec.UnsetType = msgspec.UNSET
    limit: str | msgspec.UnsetType = msgspec.UNSET


def schemas() -> dict[str, Any]:
    """Return the schema of each result by its name."""
    mine = [Alive, Problem]
    types = [
        each
        for module in (job_status, rate, receipt_result, results)
        for _, each in inspect.getmembers(module, inspect.isclass)
        if each.__module__ == module.__name__ and issubclass(each, msgspec.Struct)
    ]
    _, components = msgspec.json.schema_components([*mine, *types], ref_template=_REF)
    body = PlanOfSelection.model_json_schema(ref_template="#/components/schemas/{model}")
    found: dict[str, Any] = components | body.pop("$defs") | {PlanOfSelection.__name__: body}
    return found


def answers(result: type | UnionType, *codes: str, status: int = 200) -> Answers:
    """Return what the document says of an operation that answers a result, or one of these errors."""
    return _content(status, result.__doc__ or "", "application/json", _ref(result)) | problems_of(*codes)


def lists(result: type, *codes: str) -> Answers:
    """Return what the document says of an operation that answers a list of results, or one of these errors."""
    nullable = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    schema = {
        "type": "object",
        "required": ["object", "data", "first_id", "last_id", "has_more"],
        "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": _ref(result)},
            "first_id": nullable,
            "last_id": nullable | {"description": "The next page begins behind it: pass it as `after`."},
            "has_more": {"type": "boolean"},
        },
    }
    return _content(200, f"A page. {result.__doc__}", "application/json", schema) | problems_of(*codes)


def files(description: str, *types: str, codes: tuple[str, ...] = ()) -> Answers:
    """Return what the document says of an operation that answers a file of one of these types."""
    content = {kind: {"schema": {"type": "string"}} for kind in types}
    return {200: {"description": description, "content": content}} | problems_of(*codes)


def problems_of(*codes: str, token: bool = True) -> Answers:
    """Return what the document says of these errors, and of those that any request may meet."""
    named = dict.fromkeys((*ALWAYS, "redis_unreachable", "busy", "internal", *codes)) if token else codes
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for code in named:
        status, title = _KINDS[code]
        by_status[status].append(f"`{code}`: {title}.")
    found: Answers = {}
    for status, said in sorted(by_status.items()):
        found |= _content(status, " ".join(said), "application/problem+json", _ref(Problem))
    return found


def _content(status: int, description: str, kind: str, schema: dict[str, Any]) -> Answers:
    text = " ".join(description.split("\n\n", maxsplit=1)[0].split())
    return {status: {"description": text, "content": {kind: {"schema": schema}}}}


def _ref(result: type | UnionType) -> dict[str, Any]:
    if isinstance(result, UnionType):
        return {"anyOf": [_ref(each) for each in get_args(result)]}
    return {"$ref": _REF.format(name=result.__name__)}
