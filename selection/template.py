"""Templates of values: `{metadata.team}-{model}` with the completion's own texts put in."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from ledger.row import MAX_VALUE_CHARS
from selection.errors import BadExpression, LeftOut
from selection.fields import CREATED, Field, parse_field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selection.completion import Completion


# in quotes, a key may have braces of its own
_piece = re.compile(r"""\{\{|\}\}|\{((?:[^{}"']|"[^"]*"|'[^']*')*)\}|[{}]|[^{}]+""").finditer


class Template(NamedTuple):
    """The value of a key as it is composed for each completion; it may come out empty where no text stands in it."""

    key: str
    parts: list[str | Field]

    @property
    def may_be_empty(self) -> bool:
        """Whether the value can be empty."""
        return not any(part for part in self.parts if isinstance(part, str))

    def render(self, completion: Completion) -> str:
        """Return the value for a completion; raises LeftOut where it lacks a field, or the value would be too long."""
        value = "".join([part if isinstance(part, str) else _text_of(part, completion) for part in self.parts])
        if fault := value_fault(value):
            raise LeftOut(f"{self.key} {fault}")
        return value


def read_template(text: str, *, key: str) -> Template:
    """Return the template of a text; `{{` and `}}` stand for braces.

    Raises:
        BadExpression: a field is unknown, or a brace stands alone; with the column.

    """
    parts = list(_parts(text))
    if fault := value_fault("".join(part for part in parts if isinstance(part, str))):
        raise BadExpression(f"the value is {fault}", 1)
    return Template(key, parts)


def value_fault(value: str) -> str:
    """Return why a value cannot be sent, '' where it can."""
    if len(value) > MAX_VALUE_CHARS:
        return f"over {MAX_VALUE_CHARS} characters"
    return "with a NUL character" if "\0" in value else ""


def _parts(text: str) -> Iterator[str | Field]:
    for found in _piece(text):
        piece, column = found[0], found.start() + 1
        if piece in {"{{", "}}"}:
            yield piece[0]
        elif piece in {"{", "}"}:
            raise BadExpression(f"a {piece} stands alone; write {piece * 2} for the character itself", column)
        elif piece.startswith("{"):
            yield _field(found[1], column + 1)
        else:
            yield piece


def _field(name: str, column: int) -> Field:
    if name == CREATED:
        return Field(CREATED, None, _created)
    try:
        return parse_field(name)
    except BadExpression as error:
        raise BadExpression(error.what, column + error.column - 1) from None


def _text_of(field: Field, completion: Completion) -> str:
    value = field.get(completion)
    if value is None:
        raise LeftOut(f"{field.name} missing")
    return value


def _created(completion: Completion) -> str | None:
    """Return when a completion was created, as ISO 8601 in UTC."""
    created = completion.created
    return None if created is None else datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
