"""Comparisons of one completion, as plain functions; where a side is missing, only `!=` holds."""

from __future__ import annotations

import operator
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import re2

from selection.errors import BadSelection

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from selection.completion import Completion

    Predicate = Callable[[Completion], bool]
    Getter = Callable[[Completion], Any]

MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""The operator that means the same with the sides changed over."""
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_is_number = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?\s*").fullmatch


def number_of(text: str | None) -> Decimal | None:
    """Return the number that a text is, exactly; None where it is none."""
    return Decimal(text) if text is not None and _is_number(text) else None


def number_getter(get: Getter) -> Getter:
    """Return the function that returns the number that a value is."""
    return lambda completion: number_of(get(completion))


def has(key: str) -> Predicate:
    """Return whether the metadata has a key."""
    return lambda completion: key in completion.metadata


def compare_with(get: Getter, sign: str, constant: Any) -> Predicate:
    """Return the comparison of a value with one that is the same for all completions."""
    if sign == "==":
        return lambda completion: get(completion) == constant
    if sign == "!=":
        return lambda completion: get(completion) != constant
    holds = _ORDER[sign]
    return lambda completion: (value := get(completion)) is not None and holds(value, constant)


def compare(left: Getter, sign: str, right: Getter) -> Predicate:
    """Return the comparison of two values of a completion."""
    if sign == "!=":
        return negation(compare(left, "==", right))
    holds = _ORDER.get(sign, operator.eq)
    return lambda completion: (
        (one := left(completion)) is not None and (other := right(completion)) is not None and holds(one, other)
    )


def member(get: Getter, values: Collection[Any]) -> Predicate:
    """Return whether a value is one of several."""
    choices = frozenset(values)
    return lambda completion: get(completion) in choices


def starts_with(get: Getter, beginning: str) -> Predicate:
    """Return whether a text has this beginning."""
    return lambda completion: (text := get(completion)) is not None and text.startswith(beginning)


def matches(get: Getter, pattern: str) -> Predicate:
    """Return whether a pattern is found in a text, in time that is linear in its length.

    Raises:
        BadSelection: it is no pattern of RE2.

    """
    options = re2.Options()
    options.log_errors = False  # which would reach standard error from within the library
    try:
        search = re2.compile(pattern, options).search
    except re2.error as error:
        raise BadSelection(f"the pattern cannot be used: {_said(error)}") from None
    # a text of bytes spares the library to count the places of what it found in characters
    return lambda completion: (text := get(completion)) is not None and search(text.encode()) is not None


def negation(holds: Predicate) -> Predicate:
    """Return what holds where the other does not."""
    return lambda completion: not holds(completion)


def conjunction(terms: list[Predicate]) -> Predicate:
    """Return what holds where all of them do."""
    if len(terms) == 2:
        first, second = terms
        return lambda completion: first(completion) and second(completion)
    return lambda completion: all(holds(completion) for holds in terms)


def disjunction(terms: list[Predicate]) -> Predicate:
    """Return what holds where one of them does."""
    return lambda completion: any(holds(completion) for holds in terms)


def _said(error: Exception) -> str:
    what = error.args[0] if error.args else ""
    return what.decode(errors="replace") if isinstance(what, bytes) else str(what)
