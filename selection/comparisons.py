"""Compiles the comparisons of an expression, and checks that their sides are of one type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lark import Token

from selection import predicates
from selection.created import ORDERS, read_created
from selection.errors import BadExpression, BadSelection
from selection.fields import is_created, read_field
from selection.grammar import column_of, source_of, text_of
from selection.predicates import MIRRORED, number_of

if TYPE_CHECKING:
    from selection.fields import Field
    from selection.grammar import Node
    from selection.predicates import Getter, Predicate


class _Side(NamedTuple):
    """A value of a completion that is compared: a text, or with `is_number` the number that it is."""

    field: Field
    get: Getter
    is_number: bool = False


class Compared(NamedTuple):
    """A comparison as a function, and the numbers that it is about, each of which a completion may lack."""

    matches: Predicate
    numbers: list[Getter]


class Comparisons:
    """Compiles the comparisons of one expression; `numbers` collects all numbers that it asks for, by name."""

    def __init__(self, text: str, now: float) -> None:
        self._text = text
        self._now = now
        self.numbers: dict[str, Getter] = {}

    def compile(self, node: Node) -> Compared:
        """Compile a comparison, or `has(...)`.

        Raises:
            BadExpression: it cannot be compared so.

        """
        if isinstance(node, Token) or node.data == "reference":
            raise self._not_compared(node)
        if node.data == "call":
            return Compared(self._has(node), [])
        first, last = node.children[0], node.children[-1]
        if node.data == "member":
            return self._member(first, last)
        if node.data == "no_member":
            inside = self._member(first, last)
            return inside._replace(matches=predicates.negation(inside.matches))
        sign = str(node.children[1])
        if sign in {"startsWith", "matches"}:
            return Compared(self._text_test(first, sign, last), [])
        if is_created(first) or is_created(last):
            return Compared(self._created(first, sign, last), [])
        return self._comparison(first, sign, last)

    def _comparison(self, first: Node, sign: str, last: Node) -> Compared:
        if isinstance(last, Token):
            side = self._side(first)
            constant = self._constant(side, last, (first, sign, last))
            return Compared(predicates.compare_with(side.get, sign, constant), _numbers(side))
        if isinstance(first, Token):
            side = self._side(last)
            constant = self._constant(side, first, (first, sign, last))
            return Compared(predicates.compare_with(side.get, MIRRORED[sign], constant), _numbers(side))
        left, right = self._side(first), self._side(last)
        if left.is_number != right.is_number:
            raise self._is_text(first if right.is_number else last, (first, sign, last))
        return Compared(predicates.compare(left.get, sign, right.get), _numbers(left, right))

    def _member(self, first: Node, last: Node) -> Compared:
        side = self._side(first)
        tokens = [] if isinstance(last, Token) else last.children
        if not tokens:
            raise self._fault(last, "the list is empty, so nothing is in it")
        values = [self._constant(side, token, (first, "in", last)) for token in tokens]
        return Compared(predicates.member(side.get, values), _numbers(side))

    def _text_test(self, first: Node, sign: str, last: Node) -> Predicate:
        side = self._side(first)
        if side.is_number:
            raise self._fault(first, f"{sign} is about text; write {side.field.name} {sign} ...")
        if not isinstance(last, Token) or last.type != "STRING":
            raise self._fault(last, f"{sign} takes a text in quotes")
        text = text_of(last)
        if sign == "startsWith":
            return predicates.starts_with(side.get, text)
        try:
            return predicates.matches(side.get, text)
        except BadSelection as error:
            raise self._fault(last, str(error)) from None

    def _created(self, first: Node, sign: str, last: Node) -> Predicate:
        if is_created(last):
            first, sign, last = last, MIRRORED[sign], first
        if sign not in ORDERS:
            raise self._fault(first, "created is a time to the second; compare it with <, <=, > or >=")
        moment = read_created(last, self._now)
        return predicates.compare_with(lambda completion: completion.created, sign, moment)

    def _has(self, node: Node) -> Predicate:
        function, reference = self._called(node)
        if function != "has":
            raise self._not_compared(node)
        field = read_field(reference, self._text)
        if field.key is None:
            raise self._fault(reference, f"every completion has {field.name}; has(...) takes a key of the metadata")
        return predicates.has(field.key)

    def _side(self, node: Node) -> _Side:
        """Return the value that a side of a comparison names."""
        if isinstance(node, Token):
            raise self._fault(node, "both sides are constants; one of them is to be a field, such as metadata.team")
        if node.data == "reference":
            if is_created(node):
                raise self._fault(node, "created is a time to the second; compare it with <, <=, > or >=")
            field = read_field(node, self._text)
            return _Side(field, field.get)
        if node.data != "call":
            raise self._fault(node, "this is true or false already, and is not compared")
        function, reference = self._called(node)
        if function == "has":
            raise self._fault(node, "has(...) is true or false already, and is not compared")
        field = read_field(reference, self._text)
        get = predicates.number_getter(field.get)
        self.numbers.setdefault(field.name, get)
        return _Side(field, get, is_number=True)

    def _called(self, node: Node) -> tuple[str, Node]:
        if isinstance(node, Token):
            raise self._not_compared(node)
        function, reference = node.children
        if str(function) not in {"has", "number"}:
            raise self._fault(node, f"unknown function {str(function)!r}; there are has(...) and number(...)")
        return str(function), reference

    def _constant(self, side: _Side, token: Node, whole: tuple[Node, str, Node]) -> Any:
        """Return what a constant stands for that is compared with this side; `whole` is the comparison."""
        if not isinstance(token, Token):
            raise self._fault(token, "a constant belongs here")
        if side.is_number:
            number = number_of(str(token)) if token.type == "NUMBER" else None
            if number is None:
                name = f"number({side.field.name})"
                raise self._fault(token, f"{name} is a number; compare it with one, without quotes, such as 0.8")
            return number
        if token.type == "STRING":
            return text_of(token)
        if side.field.key is None:
            raise self._fault(token, f'{side.field.name} is text; write "{token}"')
        raise self._is_text(whole[0] if whole[2] is token or whole[1] == "in" else whole[2], whole)

    def _is_text(self, node: Node, whole: tuple[Node, str, Node]) -> BadExpression:
        """Return the error of a text that is compared with a number, with the comparison as it was meant."""
        first, sign, last = whole
        sides = [source_of(each, self._text) for each in (first, last)]
        sides[0 if node is first else 1] = f"number({source_of(node, self._text)})"
        return self._fault(node, f"metadata values are text; write {sides[0]} {sign} {sides[1]}")

    def _not_compared(self, node: Node) -> BadExpression:
        """Return the error of a value that stands where something true or false belongs."""
        source = source_of(node, self._text)
        if not isinstance(node, Token) and is_created(node):
            return self._fault(node, 'created is a time; compare it, as in created >= "2026-11-20"')
        if not isinstance(node, Token) and node.data == "reference":
            field = read_field(node, self._text)
            other = f", or write has({source})" if field.key is not None else ""
            return self._fault(node, f'{source} is text; compare it, as in {source} == "..."{other}')
        return self._fault(node, f"{source} is neither true nor false; compare it")

    def _fault(self, node: Node, what: str) -> BadExpression:
        return BadExpression(what, column_of(node))


def _numbers(*sides: _Side) -> list[Getter]:
    return [side.get for side in sides if side.is_number]
