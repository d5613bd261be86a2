"""The fields of a completion that expressions and templates name: its id, its model, and the keys of its metadata."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from lark import Token

from selection.errors import BadExpression
from selection.grammar import column_of, parse_reference, source_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from selection.completion import Completion
    from selection.grammar import Node

CREATED = "created"
_METADATA = "metadata"
_OWN = {"id": attrgetter("id"), "model": attrgetter("model")}
_MEANT_NULL = frozenset({"null", "none", "nil"})


class Field(NamedTuple):
    """A text of a completion: its name as it was written, and the function that returns it, None where it is missing.

    `key` is the key of the metadata that it is, None for the id and the model, which every completion has.
    """

    name: str
    key: str | None
    get: Callable[[Completion], str | None]


def read_field(node: Node, text: str) -> Field:
    """Return the field that a part of an expression names.

    Raises:
        BadExpression: there is none of this name.

    """
    name, *parts = _parts(node)
    source = source_of(node, text)
    if name in _OWN and not parts:
        return Field(source, None, _OWN[name])
    if name == _METADATA and len(parts) == 1:
        return Field(source, parts[0], _key_getter(parts[0]))
    raise BadExpression(_about_name(name, parts), column_of(node))


def parse_field(text: str) -> Field:
    """Return the field that a text names, such as `metadata.team`; raises BadExpression."""
    return read_field(parse_reference(text), text)


def is_created(node: Node) -> bool:
    """Return whether a part of an expression is the time at which a completion was created."""
    return not isinstance(node, Token) and node.data == "reference" and _parts(node) == [CREATED]


def _parts(node: Node) -> list[str]:
    tokens = [] if isinstance(node, Token) else [token for token in node.children if isinstance(token, Token)]
    return [text_of(token) if token.type == "STRING" else str(token) for token in tokens]


def _key_getter(key: str) -> Callable[[Completion], str | None]:
    return lambda completion: completion.metadata.get(key)


def _about_name(name: str, parts: list[str]) -> str:
    if name == _METADATA and parts:
        return f'a key with a dot in it is written metadata["{".".join(parts)}"]'
    if name == _METADATA:
        return "name a key, such as metadata.team"
    if name == CREATED:
        return 'created is a time; compare it, as in created >= "2026-11-20"'
    if name.lower() in _MEANT_NULL:
        return "a missing key is found by not has(metadata.team)"
    if parts:
        return f"{name} has no parts; there are id, model, created and metadata.KEY"
    return f"unknown name {name!r}; a key is written metadata.{name}"
