"""Times in expressions: `created` compared with a date, or with how long ago something was."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from lark import Token

from config.moment import parse_moment
from selection.errors import BadExpression
from selection.fields import is_created
from selection.grammar import column_of, text_of
from selection.predicates import MIRRORED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selection.grammar import Node

_LATER_THAN = {">", ">="}
_EARLIER_THAN = {"<", "<="}
ORDERS = _LATER_THAN | _EARLIER_THAN
"""How a time is compared: it is given to the second, so that equality would be met by chance alone."""


def parse_utc(text: str, *, now: float) -> float:
    """Return a moment in seconds since the epoch; one without a zone is in UTC. Raises ValueError."""
    return parse_moment(text, now=now, zone=UTC)


def read_created(node: Node, now: float) -> float:
    """Return the time that a text in an expression stands for; raises BadExpression."""
    if not isinstance(node, Token) or node.type != "STRING":
        what = 'created is a time; compare it with a text such as "2026-11-20", or "3d" for 3 days ago'
        raise BadExpression(what, column_of(node))
    try:
        return parse_utc(text_of(node), now=now)
    except ValueError as error:
        raise BadExpression(str(error), column_of(node)) from None


def created_bounds(tree: Node, now: float) -> tuple[float | None, float | None]:
    """Return from when on (included) and until when (excluded) completions were created that can match.

    They are those of the comparisons that must hold whatever else does; None where there is none.
    """
    found = list(_compared(tree, now))
    since = [moment for sign, moment in found if sign in _LATER_THAN]
    # `created` is in whole seconds, and the bound is excluded: `<=` holds up to the next one
    until = [moment if sign == "<" else moment + 1 for sign, moment in found if sign in _EARLIER_THAN]
    return max(since, default=None), min(until, default=None)


def _compared(tree: Node, now: float) -> Iterator[tuple[str, float]]:
    if isinstance(tree, Token):
        return
    if tree.data == "all":
        for child in tree.children:
            yield from _compared(child, now)
    elif tree.data == "comparison":
        left, sign, right = tree.children
        if is_created(left):
            yield str(sign), read_created(right, now)
        elif is_created(right):
            yield MIRRORED[str(sign)], read_created(left, now)
