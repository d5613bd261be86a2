"""Parses an expression into a tree; an error names the column, and what to write instead."""

from __future__ import annotations

import re
from functools import cache

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from selection.errors import BadExpression

MOST_CHARS = 16_384
"""Characters of an expression: room for a list of several hundred ids."""

Node = Tree[Token] | Token

_GRAMMAR = r"""
?expression: conjunction ("or" conjunction)+ -> any
           | conjunction
?conjunction: term ("and" term)+ -> all
            | term
?term: "not" term -> negation
     | comparison
?comparison: operand (COMPARE | STARTS_WITH | MATCHES) operand -> comparison
           | operand IN list -> member
           | operand "not" IN list -> no_member
           | operand
?operand: "(" expression ")"
        | NAME "(" reference ")" -> call
        | reference
        | STRING
        | NUMBER
reference: NAME ("." NAME | "[" STRING "]")*
list: "[" [(STRING | NUMBER) ("," (STRING | NUMBER))*] "]"

COMPARE: "==" | "!=" | "<=" | ">=" | "<" | ">"
IN: "in"
STARTS_WITH: "startsWith"
MATCHES: "matches"
NAME: /[^\W\d]\w*/
STRING: /"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'/
NUMBER: /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])/
%ignore /\s+/
"""

_ends_with_in = re.compile(r".*\bin\Z", re.DOTALL).match
_escape = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "'": "'", "\\": "\\"}

_QUOTES = "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
_OTHER_KEY = 'for a key with other characters than letters, digits and _ write metadata["..."]'
_OF_CHARACTERS = {
    "=": "write == to compare",
    "&": "write and",
    "|": "write or",
    "!": "write not, or != to compare",
    "~": 'write matches, as in metadata.note matches "^dup"',
    '"': "the text is not closed; end it with the same quote",
    "'": "the text is not closed; end it with the same quote",
    "-": _OTHER_KEY,
    **dict.fromkeys(_QUOTES, "write straight quotes"),
}
_OF_WORDS = {
    "and": "write and",
    "or": "write or",
    "not": "write not",
    "in": 'write in, as in metadata.team in ["a", "b"]',
    "is": "write == to compare",
    "startswith": "write startsWith",
    "starts_with": "write startsWith",
    "endswith": 'write matches "...$"',
    "contains": 'write matches "..."',
    "like": 'write matches "..."',
    "matches": "write matches",
}


def parse_expression(text: str) -> Node:
    """Return the tree of an expression.

    Raises:
        BadExpression: it is too long, or not as the grammar has it.

    """
    return _parse(text, "expression")


def parse_reference(text: str) -> Node:
    """Return the tree of the name of a field, such as `metadata.team`; raises BadExpression."""
    return _parse(text, "reference")


def text_of(token: Token) -> str:
    r"""Return what a text in quotes stands for; `\d` and the like stay, as patterns have them."""
    return _escape.sub(lambda found: _ESCAPES.get(found[1], found[0]), token[1:-1])


def column_of(node: Node) -> int:
    """Return the column that a part of an expression begins in."""
    start = node.start_pos if isinstance(node, Token) else node.meta.start_pos
    return (start or 0) + 1


def source_of(node: Node, text: str) -> str:
    """Return a part of an expression as it was written."""
    start, end = (node.start_pos, node.end_pos) if isinstance(node, Token) else (node.meta.start_pos, node.meta.end_pos)
    return text[start:end]


@cache
def _parser() -> Lark:
    starts = ["expression", "reference"]
    return Lark(
        _GRAMMAR, parser="lalr", lexer="basic", start=starts, propagate_positions=True, maybe_placeholders=False
    )


def _parse(text: str, start: str) -> Node:
    if len(text) > MOST_CHARS:
        raise BadExpression(f"the expression has {len(text):,} characters; {MOST_CHARS:,} are allowed", MOST_CHARS + 1)
    try:
        return _parser().parse(text, start=start)
    except UnexpectedCharacters as error:
        at = error.pos_in_stream or 0
        raise BadExpression(_about_character(text[at]), at + 1) from None
    except UnexpectedToken as error:
        at = len(text) if error.token.type == "$END" else error.token.start_pos or 0
        expected = error.accepts or error.expected
        raise BadExpression(_about_token(error.token, expected, text[:at].rstrip()), at + 1) from None
    except UnexpectedInput as error:
        raise BadExpression("it cannot be read from here on", (error.pos_in_stream or 0) + 1) from None


def _about_character(found: str) -> str:
    if found.isdigit():
        return "a number is written as 12, 0.8 or -1e6, and a text in quotes"
    advice = _OF_CHARACTERS.get(found)
    return f"unexpected {found!r}; {advice}" if advice else f"unexpected {found!r}"


def _about_token(token: Token, expected: set[str], before: str) -> str:
    """Return what is wrong with a token where others were expected, after `before`."""
    if token.type == "$END":
        return "it ends where something is missing" if before else "it is empty"
    advice = _about_key(token, expected, before) or _about_operator(token, expected)
    if not advice and ("RSQB" in expected or expected == {"STRING", "NUMBER"}):
        advice = "a list holds texts in quotes or numbers, with commas between them"
    return f"unexpected {token.value!r}; {advice}" if advice else f"unexpected {token.value!r}"


def _about_key(token: Token, expected: set[str], before: str) -> str:
    if before.endswith(".") or (token.type in {"DOT", "LSQB"} and "IN" in expected):
        return _OTHER_KEY
    if before.endswith("(") and expected == {"NAME"}:
        return "a key such as metadata.team belongs here"
    if _ends_with_in(before):
        return 'in takes a list, such as ["a", "b"]'
    return "a key in brackets stands in quotes" if expected == {"STRING"} else ""


def _about_operator(token: Token, expected: set[str]) -> str:
    if token.type == "NAME" and (advice := _OF_WORDS.get(token.value.lower())):
        return advice
    if token.type == "COMPARE" and "AND" in expected:
        return "join two comparisons with and"
    if token.type in {"STRING", "NUMBER", "NAME"} and "AND" in expected:
        return "an operator such as == or and is missing before it"
    return ""
