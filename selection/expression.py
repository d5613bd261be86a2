"""Compiles an expression (`--where`) to plain functions: parsed once, its types checked before the first request.

A missing key is null: comparisons with it are false, but for `!=`, and it is never an error. Metadata values are text;
`number(...)` makes a number of one, and is null where it is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lark import Token

from selection import predicates
from selection.comparisons import Comparisons
from selection.created import created_bounds
from selection.errors import BadExpression
from selection.grammar import column_of, parse_expression

if TYPE_CHECKING:
    from collections.abc import Callable

    from selection.completion import Completion
    from selection.grammar import Node
    from selection.predicates import Getter, Predicate

MOST_DEPTH = 50
"""How deep parts of an expression may be nested: each level is a call for each completion."""
_JOINS = {"all": predicates.conjunction, "any": predicates.disjunction}


class Where(NamedTuple):
    """A compiled expression.

    `missing` returns which number a completion lacks that does not match, but might if it had it; '' where that is not
    the reason. `since` (included) and `until` (excluded) are bounds of `created`, in seconds since the epoch, outside
    of which nothing matches.
    """

    matches: Predicate
    missing: Callable[[Completion], str]
    since: float | None = None
    until: float | None = None


class _Term(NamedTuple):
    """A part of an expression; `hopeful` takes each number that is missing for one that fits."""

    matches: Predicate
    hopeful: Predicate


def compile_where(text: str, *, now: float) -> Where:
    """Compile an expression. `now` is what times such as `3d` count back from, in seconds since the epoch.

    Raises:
        BadExpression: it cannot be used; with the column.

    """
    tree = parse_expression(text)
    comparisons = Comparisons(text, now)
    term = _term(tree, comparisons, negated=False, depth=0)
    since, until = created_bounds(tree, now)
    return Where(term.matches, _missing(term.hopeful, comparisons.numbers), since, until)


def _missing(hopeful: Predicate, numbers: dict[str, Getter]) -> Callable[[Completion], str]:
    def reason(completion: Completion) -> str:
        if not hopeful(completion):
            return ""
        name = next((name for name, get in numbers.items() if get(completion) is None), "")
        return f"{name} missing or no number" if name else ""

    return reason if numbers else lambda _: ""


def _term(node: Node, comparisons: Comparisons, *, negated: bool, depth: int) -> _Term:
    """Compile what holds of a completion; `negated` tells that the whole holds where this does not."""
    if depth > MOST_DEPTH:
        raise BadExpression(f"it is nested more than {MOST_DEPTH} levels deep; write it flatter", column_of(node))
    data, children = ("", []) if isinstance(node, Token) else (node.data, node.children)
    if data == "negation":
        inner = _term(children[0], comparisons, negated=not negated, depth=depth + 1)
        return _Term(*map(predicates.negation, inner))
    if data in _JOINS:
        terms = [_term(child, comparisons, negated=negated, depth=depth + 1) for child in children]
        return _Term(*(_JOINS[data](list(each)) for each in zip(*terms, strict=True)))
    matches, numbers = comparisons.compile(node)
    return _Term(matches, _hopeful(matches, numbers, negated=negated) if numbers else matches)


def _hopeful(matches: Predicate, numbers: list[Getter], *, negated: bool) -> Predicate:
    def lacks_one(completion: Completion) -> bool:
        return any(get(completion) is None for get in numbers)

    if negated:
        return lambda completion: matches(completion) and not lacks_one(completion)
    return lambda completion: matches(completion) or lacks_one(completion)
